"""Files with values of a wrong type or range: each is read, or refused as the fault of the file, never as our bug.

Of every document, values are replaced by those of `NASTY` in turn (thorough), and at random several at once. Others are
drawn from the schemas of the records that read them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from attacks.mutants import NASTY, changed, mutants, places
from attacks.results import written_run
from attacks.schemas import documents
from conftest import source_info
from covos.cli.models import _described
from covos.core.errors import InputError, UsageError
from covos.core.types import Frame
from covos.data import open_dataset
from covos.data.youtube_vos import _Meta
from covos.engines.calibration import Calibration
from covos.formats.coco import CocoFile, YtvisFile
from covos.formats.labelstudio import LabelStudioTask
from covos.models.cards import Card
from covos.models.registry import build_network, find_model, refuse_untrained
from covos.plan import Plan
from covos.prompts.file import _File, read_prompt_file
from covos.prompts.placing import place_prompts
from covos.prompts.seeds import Seeds
from covos.results.loading import convert, load_result
from covos.runs.folder import OutputFolder
from covos.runs.journal import JournalEntry
from covos.runs.report import Origin
from covos.runs.schema import ReportContent
from covos.runs.state import RunState
from covos.runs.terms import Inputs, RunFile, RunTerms
from covos.task import choose_task
from covos.training.recipe import LiteRecipe
from covos.training.registry import load_recipe

TRACK = {"track_id": 1, "attributes": {"track_id": 1}}
BRUSH = {"format": "rle", "rle": [0, 0, 0, 64, 57, 27, 31, 224], "brushlabels": ["object 1"]}
RLE = {"size": [48, 64], "counts": [100, 200, 2772]}
IMAGE = {"id": 1, "file_name": "0.jpg", "height": 48, "width": 64, "frame_index": 0, "pts": 0, "video_id": 1}
INFO = {"time_base": "1/25"}
DOCUMENTS: dict[str, Any] = {
    "coco": {
        "info": INFO,
        "images": [IMAGE, {**IMAGE, "id": 2, "frame_index": 1, "file_name": "1.jpg", "pts": 1}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, **TRACK, "segmentation": RLE},
            {"id": 2, "image_id": 2, "category_id": 1, "segmentation": [[1, 1, 9, 1, 9, 9]]},
        ],
    },
    "coco results": [
        {"image_id": 1, "category_id": 1, "score": 0.5, "segmentation": RLE},
        {"image_id": 2, "category_id": 1, "score": 0.5, "segmentation": RLE},
    ],
    "ytvis": {
        "info": INFO,
        "videos": [
            {"id": 1, "height": 48, "width": 64, "file_names": ["0.jpg"], "frame_indices": [0], "pts": [0], "length": 1}
        ],
        "annotations": [{"id": 1, "video_id": 1, "category_id": 1, "segmentations": [RLE]}],
    },
    "ytvis results": [{"video_id": 1, "category_id": 1, "score": 0.5, "segmentations": [RLE, None]}],
    "labelstudio": [
        {
            "data": {"image": "0.jpg", "frame": 0, "width": 4, "height": 4},
            "predictions": [
                {
                    "result": [
                        {
                            "type": "brushlabels",
                            "original_width": 4,
                            "original_height": 4,
                            "image_rotation": 0,
                            "value": BRUSH,
                        }
                    ]
                }
            ],
            "annotations": [],
        }
    ],
    "prompts": {
        "masks": [{"file": "p.json", "frame": 0, "object": 1}],
        "points": [{"frame": 0, "object": 2, "positive": [[30, 20]], "negative": [[10, 5]]}],
        "boxes": [{"frame": 1, "object": 3, "box": [1, 2, 30, 40]}],
        "within": [{"box": [0, 0, 64, 30], "frame": 1}],
        "exclude": [{"frame": 1, "box": [1, 2, 30, 40]}],
    },
    "plan": {
        "source": "a.mp4",
        "task": {
            "kind": "follow",
            "prompts": [
                {"labels": {"size": [4, 4], "objects": {"1": "4444"}}, "frame": 0, "object": 1},
                {"frame": 0, "object": 1, "points": [{"x": 1, "y": 1, "positive": True}], "box": None},
            ],
            "direction": "auto", "memory": 5, "follower": "covos-follow", "prompter": "auto",
        },
        "model": "covos-lite", "device": "cpu", "precision": "auto", "formats": ["palette", "matte=16"],
        "frame_rate": "25", "start": 0, "stop": 9,
    },
    "a plan that finds": {
        "source": "a.mp4",
        "task": {
            "kind": "find", "quality": "balanced", "references": 5,
            "fusion": None, "reference_seed": 1, "refine": "none",
            "steer": {"shown": [{"box": {"x0": 1, "y0": 1, "x1": 9, "y1": 9}, "role": "within", "frame": None}]},
        },
    },
    "meta": {"videos": {"a": {"objects": {"1": {"category": "dog", "frames": ["00000"]}}}}},
    "recipe": json.loads(json.dumps(load_recipe("lite").model_dump(mode="json"))),
    "card": json.loads(find_model("covos-lite").card.model_dump_json()),
    "a converted card": {
        "name": "x", "architecture": "cosnet_resnet50", "version": "1", "commit": "",
        "recipe": {"converted_from": {"layout": "deeplab", "file": "a.pth", "random": ["a", "b"]}, "size": [9, 9]},
        "data": [{"name": "a", "items": 3, "licence": "b"}],
        "scores": {"davis": {"J": 0.5, "sequences": {"a": [0.5, 0.5]}}}, "licence": "", "parameters": 1, "sha256": "",
    },
    "journal": json.loads(
        '{"index": 0, "stem": "00000", "pts": 0, "status": "ok", "confidence": 0.5, "seconds": 0.1, "size": [4, 4], '
        '"objects": {"1": "4444"}, "states": [{"id": 1, "state": "present", "confidence": 0.5}], "bits": 8, '
        '"soft": "eJxjYEAFAAAQAAE="}'
    ),
}  # fmt: skip


@cache
def _report(folder: Path) -> Any:
    return json.loads((written_run(folder, source=folder / "a.mp4") / "report.json").read_text())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("values")
    DOCUMENTS.setdefault("report", _report(folder / "run"))
    RunState(OutputFolder(folder / "begun")).begin(terms(folder)).journal.close()
    DOCUMENTS.setdefault("covos.json", json.loads((folder / "begun" / "covos.json").read_text()))
    (folder / "tree" / "train" / "JPEGImages" / "a").mkdir(parents=True)
    (folder / "tree" / "train" / "JPEGImages" / "a" / "00000.jpg").touch()
    return folder


def terms(folder: Path) -> RunTerms:
    inputs = Inputs(path=str(folder / "a.mp4"), files=1, size=3, fingerprint="0")
    return RunTerms(inputs=inputs, model="m", weights_sha256="0", settings={}, batch=4, formats=("palette",))


def written(folder: Path, name: str, content: Any) -> Path:
    (folder / name).write_text(json.dumps(content))
    return folder / name


def read_masks(folder: Path, content: Any) -> None:
    result = load_result(written(folder, "masks.json", content))
    result.to_coco()
    repr(result)


def read_report(folder: Path, content: Any) -> None:
    written(folder / "run", "report.json", content)
    convert(folder / "run", formats=["coco", "npz"], output=folder / "converted", overwrite=True)


def read_prompts(folder: Path, content: Any) -> None:
    prompts = read_prompt_file(written(folder, "p.json", content))
    info = load_result(folder / "sound").info
    task = choose_task(prompts=prompts)
    if task.kind == "follow":
        place_prompts(Seeds(info), task.prompts, resize=False, alpha_of=lambda _: np.ones((48, 64), bool))


def read_plan(folder: Path, content: Any) -> None:
    plan = Plan.model_validate_json(json.dumps(content))
    assert Plan.model_validate_json(plan.model_dump_json()) is not None


def read_meta(folder: Path, content: Any) -> None:
    written(folder / "tree" / "train", "meta.json", content)
    open_dataset(folder / "tree", layout="youtube-vos")


def read_recipe(folder: Path, content: Any) -> None:
    def toml(value: Any) -> str:
        if isinstance(value, list):
            return "[" + ", ".join(map(toml, value)) + "]"
        if isinstance(value, dict):
            return "{" + ", ".join(f"{json.dumps(key)} = {toml(each)}" for key, each in value.items()) + "}"
        return json.dumps(value).replace("Infinity", "inf").replace("NaN", "nan")

    items = content.items() if isinstance(content, dict) else [("x", content)]
    (folder / "r.toml").write_text("".join(f"{key} = {toml(value)}\n" for key, value in items if value is not None))
    load_recipe(folder / "r.toml")


def read_card(folder: Path, content: Any) -> None:
    (folder / "w.safetensors").touch()
    written(folder, "w.json", content)
    entry = find_model(folder / "w.safetensors")
    list(_described(entry))
    Calibration.from_card(entry.card.calibration)
    origin = Origin(model="m", sha256="", device="", settings={}, card=entry.card.model_dump(mode="json"))
    sound = load_result(folder / "sound")
    replace(sound, origin=origin).save(folder / "page", formats=["palette"], overwrite=True)
    refuse_untrained(entry)
    build_network(entry)


def read_journal(folder: Path, content: Any) -> None:
    entry = JournalEntry.from_json(json.dumps(content))
    picture = np.zeros((4, 4, 3), np.uint8)
    result = entry.restore(Frame(index=0, stem="00000", image=picture, pts=0, time_base=Fraction(1, 25)))
    assert result.probability.shape == (4, 4)


def read_terms(folder: Path, content: Any) -> None:
    written(folder / "begun", "covos.json", content)
    info = source_info(height=4, width=4, frame_count=2, duration=0.08)
    RunState(OutputFolder(folder / "begun", resumable=True)).is_done(terms(folder), info=info)


READ: dict[str, Callable[[Path, Any], None]] = {
    **dict.fromkeys(("coco", "coco results", "ytvis", "ytvis results", "labelstudio"), read_masks),
    "report": read_report,
    "prompts": read_prompts,
    "plan": read_plan,
    "a plan that finds": read_plan,
    "meta": read_meta,
    "recipe": read_recipe,
    "card": read_card,
    "a converted card": read_card,
    "journal": read_journal,
    "covos.json": read_terms,
}


SCHEMAS: dict[str, type[BaseModel]] = {
    "coco": CocoFile,
    "ytvis": YtvisFile,
    "labelstudio": LabelStudioTask,
    "report": ReportContent,
    "prompts": _File,
    "plan": Plan,
    "meta": _Meta,
    "recipe": LiteRecipe,
    "card": Card,
    "covos.json": RunFile,
}
"""The records that the documents are read by."""


MOST = 500
"""The most mutants of one document that are read in turn."""


def check(name: str, folder: Path, content: Any) -> None:
    """Read a document: it is of use, or the error is the fault of the file."""
    if not (folder / "sound").exists():
        written_run(folder / "sound", source=folder / "a.mp4")
    with suppress(InputError, UsageError):
        READ[name](folder, content)


@pytest.mark.parametrize("name", READ)
@settings(suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_documents_with_wrong_values(place: Path, name: str, data: st.DataObject) -> None:
    check(name, place, data.draw(mutants(DOCUMENTS[name])))


@pytest.mark.parametrize("name", SCHEMAS)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_documents_of_the_schemas(place: Path, name: str, data: st.DataObject) -> None:
    content = data.draw(documents(SCHEMAS[name]))
    check(name, place, [content] if name == "labelstudio" else content)


@pytest.mark.thorough
@pytest.mark.parametrize("name", READ)
def test_each_value_in_turn(place: Path, name: str) -> None:
    document = DOCUMENTS[name]
    every = [(spot, value) for spot in places(document) for value in NASTY]
    # Of long documents some: a step that has no factor in common with their number meets each value somewhere.
    step = len(every) // MOST + 1
    for spot, value in every[:: step + (math.gcd(step, len(NASTY)) > 1)]:
        check(name, place, changed(document, spot, value))
