"""Labels of objects: in every annotation format, in prompts, on the command line, and back again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import covos
from covos.cli import main
from covos.core.errors import AnnotationError, UsageError
from covos.core.labelling import NO_LABELS, Labelling, as_labelling, read_labels
from covos.core.types import SourceInfo
from covos.masks import encode
from covos.masks.frame_mask import FrameMask
from covos.media.source import Health
from covos.plan import Plan
from covos.prompts.file import read_prompt_file
from covos.prompts.placing import place_prompts
from covos.prompts.seeds import Seeds
from covos.runs.report import Origin

INFO = SourceInfo(
    path="clip.mp4", kind="masks", height=48, width=64, frame_count=2, frame_rate=25, duration=None, time_base=1
)  # type: ignore[arg-type]
CALLED = {1: "car", 2: 'dog & "cat"'}


def result(**settings: Any) -> covos.Segmentation:
    """Objects 1, 2 and 7 in two frames."""
    labels = np.zeros((48, 64), np.uint8)
    labels[2:9, 3:9], labels[20:30, 20:40], labels[40:44, 50:60] = 1, 2, 7
    masks = {identity: encode(labels == identity) for identity in (1, 2, 7)}
    frames = tuple(
        FrameMask(
            index=index, stem=f"{index:05d}", pts=index, time_base=INFO.time_base, status="ok", confidence=1.0,
            size=(48, 64), objects=masks,
        )
        for index in range(2)
    )  # fmt: skip
    origin = Origin(model="boxes", sha256="ab" * 32, device="none", settings=settings)
    return covos.Segmentation(info=INFO, health=Health(decoded=2, expected=2), origin=origin, frames=frames)


def names_of(folder: Path) -> dict[str, Any]:
    """What each format calls objects 1, 2 and 7."""
    coco, ytvis = (json.loads((folder / f"{name}.json").read_text()) for name in ("coco", "ytvis"))
    found: dict[str, Any] = {}
    for name, content, key in (("coco", coco, "track_id"), ("ytvis", ytvis, "id")):
        categories = {each["id"]: each["name"] for each in content["categories"]}
        found[name] = {each[key]: categories[each["category_id"]] for each in content["annotations"]}
    tracks = ElementTree.parse(folder / "cvat.xml").getroot().findall("track")
    found["cvat"] = {int(each.findtext("mask/attribute") or 0): each.get("label") for each in tracks}
    listed = {
        each.text for each in ElementTree.parse(folder / "cvat.xml").getroot().findall("meta/task/labels/label/name")
    }
    assert set(found["cvat"].values()) == listed, "no label that nothing has"
    regions = json.loads((folder / "labelstudio.json").read_text())[0]["predictions"][0]["result"]
    found["labelstudio"] = {int(each["id"][7:]): each["value"]["brushlabels"][0] for each in regions}
    classes = (folder / "yolo" / "classes.txt").read_text().splitlines()
    lines = (folder / "yolo" / "labels" / "00000.txt").read_text().splitlines()
    found["yolo"] = dict(zip((1, 2, 7), (classes[int(line.split()[0])] for line in lines), strict=True))
    return found


FORMATS = ("coco", "ytvis", "cvat", "labelstudio", "yolo")


def test_every_annotation_format_has_the_labels(tmp_path: Path) -> None:
    result().save(tmp_path / "own", formats=FORMATS, label=CALLED)
    wanted = {**CALLED, 7: "object"}
    found = names_of(tmp_path / "own")
    assert found.pop("labelstudio") == {**CALLED, 7: "object 7"}
    assert all(each == wanted for each in found.values()), found
    result().save(tmp_path / "all", formats=FORMATS, label="car")
    assert all(each == dict.fromkeys((1, 2, 7), "car") for each in names_of(tmp_path / "all").values())
    coco = json.loads((tmp_path / "all" / "coco.json").read_text())
    assert coco["categories"] == [{"id": 1, "name": "car", "supercategory": ""}]
    result().save(tmp_path / "none", formats=FORMATS)
    found = names_of(tmp_path / "none")
    assert found["coco"] == found["cvat"] == found["ytvis"] == dict.fromkeys((1, 2, 7), "object")
    assert found["yolo"] == found["labelstudio"] == {identity: f"object {identity}" for identity in (1, 2, 7)}


@pytest.mark.parametrize("name", ["coco.json", "ytvis.json", "cvat.xml", "labelstudio.json"])
def test_labels_do_not_change_which_object_is_which(tmp_path: Path, name: str) -> None:
    given = result()
    for place, label in enumerate(("car", {1: "car", 2: "car"})):
        folder = tmp_path / str(place)
        given.save(folder, formats=FORMATS, label=label)
        (folder / "report.json").unlink()
        read = covos.load_result(folder / name)
        assert [frame.objects for frame in read] == [frame.objects for frame in given]


def test_a_conversion_keeps_labels_and_changes_those_that_are_given(tmp_path: Path) -> None:
    result(label={"every": "thing", "1": "car"}).save(tmp_path / "run", formats=["npz"])
    words = ["convert", str(tmp_path / "run"), *(word for name in FORMATS for word in ("-f", name)), "-q"]
    assert main([*words, "-o", str(tmp_path / "same")]) == 0
    assert names_of(tmp_path / "same")["coco"] == {1: "car", 2: "thing", 7: "thing"}
    assert main([*words, "-o", str(tmp_path / "other"), "--label", "2=dog", "--label", "animal"]) == 0
    assert names_of(tmp_path / "other")["cvat"] == {1: "car", 2: "dog", 7: "animal"}
    loaded = covos.load_result(tmp_path / "other")
    assert {each["name"] for each in loaded.to_coco()["categories"]} == {"car", "dog", "animal"}


def test_labels_of_a_prompt_file(tmp_path: Path) -> None:
    mask = np.zeros((48, 64), np.uint8)
    mask[2:9, 3:9], mask[20:30, 20:40] = 3, 4
    from PIL import Image

    Image.fromarray(mask).save(tmp_path / "mask.png")
    content: dict[str, Any] = {
        "masks": [{"file": "mask.png", "label": "car"}],
        "points": [{"object": 6, "positive": [[60, 40]], "label": "dog"}],
        "boxes": [{"box": [50, 2, 60, 12], "label": "cat"}],
    }
    file = tmp_path / "prompts.json"
    file.write_text(json.dumps(content))

    def placed() -> Labelling:
        prompts: Any = read_prompt_file(file)
        return place_prompts(Seeds(INFO), prompts, resize=False, alpha_of=lambda _: mask > 0)

    assert placed() == Labelling(own={3: "car", 4: "car", 5: "cat", 6: "dog"})
    content["points"][0]["object"] = 3
    file.write_text(json.dumps(content))
    with pytest.raises(UsageError, match="object 3 is called car and dog"):
        placed()


@pytest.mark.parametrize(
    ("texts", "labels"),
    [
        ([], NO_LABELS),
        (["car"], Labelling(every="car")),
        (["1=car", "2=big dog", " thing "], Labelling(every="thing", own={1: "car", 2: "big dog"})),
        (["a=b"], Labelling(every="a=b")),
    ],
)
def test_labels_on_the_command_line(texts: list[str], labels: Labelling) -> None:
    assert read_labels(texts) == labels
    assert Labelling.of_settings(json.loads(json.dumps(labels.settings))) == labels


@pytest.mark.parametrize("key", [1, "1", np.int64(1), np.uint8(1)])
def test_an_id_may_be_any_whole_number_or_its_digits(key: object) -> None:
    assert as_labelling({key: "car", 2: "dog"}) == Labelling(own={1: "car", 2: "dog"})
    assert Plan(source="a.mp4", label={key: "car"}).label == Labelling(own={1: "car"})


def test_the_json_of_labels_comes_back() -> None:
    labels = Labelling(every="thing", own={1: "car"})
    assert as_labelling(json.loads(labels.model_dump_json())) == labels
    assert as_labelling({}) == NO_LABELS


@pytest.mark.parametrize(
    "make",
    [
        lambda: as_labelling({"one": "car"}),
        lambda: as_labelling({1.5: "car"}),
        lambda: as_labelling({1: 5}),
        lambda: as_labelling({1: "car", "1": "dog"}),
        lambda: as_labelling({"own": "car"}),
        lambda: as_labelling({300: "car"}),
        lambda: Plan(source="a.mp4", label={"one": "car"}),
        lambda: read_labels(["1=car", "1=dog"]),
        lambda: read_labels(["car", "dog"]),
        lambda: read_labels(["0=car"]),
        lambda: read_labels(["300=car"]),
        lambda: read_labels([""]),
        lambda: read_labels(["1="]),
        lambda: read_labels(["car=1"]),
        lambda: as_labelling("a\nb"),
        lambda: as_labelling("x" * 101),
        lambda: as_labelling(["car"]),
        lambda: Plan(source="a.mp4", label={1: ""}),
    ],
)
def test_what_is_no_label_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(UsageError) as caught:
        make()
    assert "label" in caught.value.what


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({1: "car", "1": "dog"}, "object 1 has two labels"),
        ({1: 5}, "the label of object 1 is 5"),
        ({"one": "car"}, "object 'one' has a label"),
        ({"9" * 5000: "car"}, "has a label"),
        ({300: "car"}, "object 300 has a label"),
        ({"own": "car"}, "cannot be read"),
        (["car"], "neither a label nor labels by object id"),
    ],
)
def test_each_fault_of_labels_is_told_as_itself(given: Any, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        as_labelling(given)
    assert said in str(caught.value)


def test_an_object_after_its_label_is_refused_with_what_to_write() -> None:
    with pytest.raises(UsageError) as raised:
        read_labels(["race car=2"])
    assert raised.value.fix == "write --label '2=race car'"
    assert read_labels(["a=b"]) == Labelling(every="a=b")
    with pytest.raises(UsageError, match="is no label"):
        read_labels(["9" * 5000 + "=car"])


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("1=car,2=red", "repeat --label 2=red"),
        ("1=car; 2=big dog", "repeat --label '2=big dog'"),
        ("car,2=red;3=dog", "repeat --label 2=red --label 3=dog"),
    ],
)
def test_several_labels_in_one_are_refused_with_what_to_repeat(text: str, fix: str) -> None:
    with pytest.raises(UsageError, match="this holds several") as raised:
        read_labels([text])
    assert (raised.value.what, raised.value.fix) == (f"--label {text}", fix)
    assert read_labels(["1=car, red"]) == Labelling(own={1: "car, red"})


def test_a_label_that_is_no_word_is_a_fault_of_the_prompt_file(tmp_path: Path) -> None:
    file = tmp_path / "prompts.json"
    file.write_text('{"points": [{"positive": [[1, 2]], "label": 3}]}')
    with pytest.raises(AnnotationError, match="it should be a word for the object"):
        read_prompt_file(file)
