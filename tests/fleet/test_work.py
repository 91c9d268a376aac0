"""One clip of a batch: its row's settings, places beyond this machine, and the row that comes of it."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import cv2
import fsspec
import numpy as np
import pytest
import torch
from PIL import Image

from checked_output import check_output
from covos._version import __version__
from covos.cli.batch import _line, _notes
from covos.core import device
from covos.core.errors import CovosError, SourceError, UsageError
from covos.core.files import atomic_path
from covos.core.limits import limits
from covos.fleet import processes
from covos.fleet.clips import read_clips
from covos.fleet.cluster import Actor
from covos.fleet.manifests import Clip
from covos.fleet.work import BatchEndsError, Errand, Row, Settings, run_errand
from covos.jobs import ModelCache
from covos.media.range import Range
from covos.runs.schema import load_report
from covos.task import Discover, Find, Follow

pytestmark = pytest.mark.usefixtures("small_networks")
PALETTE = {"formats": ("palette",), "device": "cpu"}


@pytest.fixture(scope="module")
def models() -> ModelCache:
    return ModelCache()


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    system = fsspec.filesystem("memory")
    yield system
    for each in system.ls("/", detail=False):
        system.rm(each, recursive=True)


def run(models: ModelCache, folder: str | Path, *, source: str | Path, **settings: object) -> Row:
    clip = Clip(input=str(source), name="it")
    return run_errand(
        Errand(clip=clip, settings=Settings(**{"plan": PALETTE, **settings}), folder=str(folder)),  # type: ignore[arg-type]
        models=models,
    )


def test_a_row_says_what_holds_for_its_clip(tmp_path: Path) -> None:
    mask = tmp_path / "mask.png"
    Image.fromarray(np.eye(8, dtype=np.uint8)).save(mask)
    (tmp_path / "exclude.json").write_text('{"exclude": [{"box": [0, 0, 4, 4]}]}', encoding="utf-8")
    settings = Settings(plan={"formats": ("palette",)}, task={"quality": "best", "objects": "auto", "memory": 3})

    def planned(**row: object) -> object:
        return settings.planned(Clip(input="a", name="a", **row), source="a")  # type: ignore[arg-type]

    looked_for = planned().task  # type: ignore[attr-defined]
    assert isinstance(looked_for, Discover)
    assert looked_for.quality == "best"
    followed = planned(mask=str(mask)).task  # type: ignore[attr-defined]
    assert isinstance(followed, Follow)
    assert (followed.memory, followed.quality) == (3, "best")
    found = planned(objects="1", start="f5", every=2, label="car").task  # type: ignore[attr-defined]
    assert isinstance(found, Find)
    assert found.quality == "best"
    steered = planned(prompts=str(tmp_path / "exclude.json")).task  # type: ignore[attr-defined]
    assert isinstance(steered, Find)
    assert (steered.quality, steered.steer is None) == ("best", False)
    plain = Settings(task={"objects": "auto"})
    assert isinstance(plain.planned(Clip(input="a", name="a"), source="a").task, Discover)
    part = plain.planned(Clip(input="a", name="a", start="f5", every=2, label="1=car;2=dog"), source="a")
    assert (part.range.start, part.range.every) == ("f5", 2)
    assert (part.label.of(1), part.label.of(2)) == ("car", "dog")


def test_a_clip_is_done_once(clip: Path, tmp_path: Path, models: ModelCache) -> None:
    first = run(models, tmp_path / "out", source=clip)
    assert (first.status, first.frames, first.computed, first.attempts) == ("done", 8, 8, 1)
    assert check_output(tmp_path / "out") == []
    again = run(models, tmp_path / "out", source=clip)
    assert (again.status, again.frames, again.computed) == ("done before", 8, 0)
    assert run(models, tmp_path / "out", source=clip, skip=True).status == "skipped"
    assert run(models, tmp_path / "out", source=clip, overwrite=True).status == "done"


def test_what_fails_is_told(tmp_path: Path, models: ModelCache) -> None:
    (tmp_path / "bad.mp4").write_text("no video", encoding="utf-8")
    row = run(models, tmp_path / "out", source=tmp_path / "bad.mp4")
    assert row.status == "failed"
    assert isinstance(row.error, SourceError)
    assert not (tmp_path / "out").exists()


def test_a_file_that_a_manifest_misspells_is_looked_for_beside_it(tmp_path: Path, models: ModelCache) -> None:
    manifest = tmp_path / "list" / "m.csv"
    manifest.parent.mkdir()
    manifest.write_text("input\nclips/gone.mp4\n", encoding="utf-8")
    (listed,) = read_clips([manifest])
    row = run_errand(Errand(clip=listed, settings=Settings(plan=PALETTE), folder=str(tmp_path / "out")), models=models)
    assert row.error is not None
    assert row.error.what.startswith(str(manifest.parent / "clips" / "gone.mp4"))
    assert "from the folder of" in row.error.fix
    assert str(manifest) in row.error.fix
    assert "current folder" not in row.error.fix
    assert "current folder" in str(run(models, tmp_path / "out", source=tmp_path / "gone.mp4").error)


def test_a_model_that_cannot_be_loaded_is_no_fault_of_the_clip(clip: Path, tmp_path: Path) -> None:
    settings = Settings(plan={"model": str(tmp_path / "gone.safetensors")})
    errand = Errand(clip=Clip(input=str(clip), name="it"), settings=settings, folder=str(tmp_path / "out"))
    with pytest.raises(BatchEndsError) as failed:
        run_errand(errand, models=ModelCache())
    assert isinstance(failed.value.args[0], CovosError)


def test_a_clip_comes_from_a_tar_file(clip: Path, tmp_path: Path, models: ModelCache) -> None:
    shard = tmp_path / "shard.tar"
    with tarfile.open(shard, "w") as tar:
        tar.add(clip, "day/a.mp4")
    (packed,) = read_clips([shard])
    row = run(models, str(tmp_path / "out" / packed.name), source=packed.input)
    assert (row.status, row.error) == ("done", None)
    assert load_report(tmp_path / "out" / "shard" / "day" / "a").totals.frames == 8


def test_a_clip_comes_from_elsewhere_and_its_result_goes_there(
    clip: Path, tmp_path: Path, models: ModelCache, memory: fsspec.AbstractFileSystem
) -> None:
    memory.pipe_file("/clips/far.mp4", clip.read_bytes())
    row = run(models, "memory://cut/far", source="memory://clips/far.mp4")
    assert (row.status, row.error) == ("done", None)
    memory.get("/cut/far", str(tmp_path / "back"), recursive=True)
    assert check_output(tmp_path / "back") == []
    assert load_report(tmp_path / "back").totals.frames == 8
    again = run(models, "memory://cut/far", source="memory://clips/far.mp4")
    assert (again.status, again.frames) == ("done before", 8)
    gone = run(models, "memory://cut/gone", source="memory://clips/gone.mp4")
    assert isinstance(gone.error, SourceError)
    assert not memory.exists("/cut/gone")


def test_what_a_row_shows_at_a_url_is_fetched_with_the_masks_that_it_names(
    clip: Path, tmp_path: Path, models: ModelCache
) -> None:
    mask = np.zeros((48, 64), np.uint8)
    mask[10:30, 15:35] = 1
    (tmp_path / "masks").mkdir()
    Image.fromarray(mask).save(tmp_path / "masks" / "m.png")
    (tmp_path / "a.json").write_text('{"masks": [{"file": "masks/m.png"}]}', encoding="utf-8")
    (tmp_path / "m.csv").write_text(
        f"input,name,prompts,mask\n{clip.name},a,a.json,\n{clip.name},b,,masks/m.png\n", encoding="utf-8"
    )
    for manifest, status in ((tmp_path / "m.csv", "done"), (f"file://{tmp_path}/m.csv", "done before")):
        for listed in read_clips([manifest]):
            one = Errand(clip=listed, settings=Settings(plan=PALETTE), folder=str(tmp_path / listed.name))
            row = run_errand(one, models=models)
            # Of the same terms: what is shown is known by its content, wherever it lies.
            assert (row.status, row.error) == (status, None)


def test_a_result_elsewhere_that_the_batch_has_made_is_not_made_again(
    clip: Path, models: ModelCache, memory: fsspec.AbstractFileSystem
) -> None:
    far = "memory://cut/a"
    settings = Settings(plan=PALETTE, overwrite=True)
    errand = Errand(clip=Clip(input=str(clip), name="it"), settings=settings, folder=far)
    assert run_errand(errand, models=models).status == "done"
    assert run_errand(replace(errand, is_own=True), models=models).status == "done before"
    others = replace(settings, plan={**PALETTE, "range": Range(end="f3")})
    row = run_errand(replace(errand, is_own=True, settings=others), models=models)
    assert (row.status, row.frames) == ("done", 3)
    assert len(memory.find("/cut/a/masks")) == 3
    assert run_errand(errand, models=models).status == "done"


def test_a_result_elsewhere_is_compared_as_one_of_this_machine(
    clip: Path, tmp_path: Path, models: ModelCache, memory: fsspec.AbstractFileSystem
) -> None:
    far, near = "memory://cut/a", str(tmp_path / "near")
    for folder in (far, near):
        assert run(models, folder, source=clip).status == "done"
    before = {name: memory.info(name)["created"] for name in memory.find("/cut/a")}
    # Other terms are refused in the same words, and the result stays.
    others = {"plan": {**PALETTE, "range": {"end": "f3"}}, "task": {"quality": "fast"}}
    errors = [run(models, folder, source=clip, **others).error for folder in (far, near)]
    assert all(isinstance(error, UsageError) for error in errors)
    there, here = ((error.what, error.why) for error in errors if error is not None)
    assert there == tuple(text.replace(near, far) for text in here)
    assert "of other settings" in there[0]
    assert {name: memory.info(name)["created"] for name in memory.find("/cut/a")} == before
    # A further format is made, of the masks that are there, and nothing else is moved again.
    more = run(models, far, source=clip, plan={**PALETTE, "formats": ("binary",)})
    assert (more.status, more.frames) == ("done", 8)
    memory.get("/cut/a", str(tmp_path / "back"), recursive=True)
    assert check_output(tmp_path / "back") == []
    assert len(load_report(tmp_path / "back").outputs) == 2
    masks = [name for name in before if name.endswith(".png")]
    assert len(masks) == 8
    assert all(memory.info(name)["created"] == before[name] for name in masks)
    # What replaces it leaves nothing of it.
    assert run(models, far, source=clip, overwrite=True, plan={**PALETTE, "formats": ("coco",)}).status == "done"
    assert not [name for name in memory.find("/cut/a") if name.endswith(".png")]


def test_a_worker_with_several_processors_computes_several_frames_at_a_time(
    clip: Path, tmp_path: Path, models: ModelCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The masks are those of one frame at a time, byte by byte."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(device, "_CALLS", [1])
    monkeypatch.setattr(device, "_GRANTED", [None])
    before, threads = torch.get_num_threads(), cv2.getNumThreads()
    try:
        device.configure_threads(cpus=2)
        assert run(models, tmp_path / "one", source=clip).status == "done"
        Actor("cpu", 2, __version__, limits())
        assert device.calls_at_once() == 2
        assert run(models, tmp_path / "two", source=clip).status == "done"
        monkeypatch.setattr(device, "_CALLS", [device.choose_threads(64).calls])
        assert run(models, tmp_path / "four", source=clip).status == "done"
    finally:
        torch.set_num_threads(before)
        cv2.setNumThreads(threads)
    one, *others = (
        {file.name: file.read_bytes() for file in (tmp_path / each).rglob("*.png")} for each in ("one", "two", "four")
    )
    assert len(one) == 8
    assert others == [one, one]


def test_a_process_of_a_batch_computes_as_many_frames_at_a_time_as_its_share_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, object]] = []
    monkeypatch.setattr(processes, "configure_threads", lambda **settings: asked.append(settings))
    monkeypatch.setattr(tempfile, "tempdir", None)
    here, there = multiprocessing.Pipe()
    with here, there:
        here.send(None)
        processes._serve(there, "cpu", 2, str(tmp_path))
    assert asked == [{"pipeline": True, "share": 2}]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_ends_the_batch(
    clip: Path, tmp_path: Path, models: ModelCache, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(*_: object) -> NoReturn:
        with atomic_path(tmp_path / "mask.png"):
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr("covos.fleet.work.Job.run", full)
    one = Errand(clip=Clip(input=str(clip), name="a"), settings=Settings(plan=PALETTE), folder=str(tmp_path / "a"))
    with pytest.raises(BatchEndsError) as ended:
        run_errand(one, models=models)
    assert ended.value.args[0].exit_code == 5
    assert "the same command goes on" in ended.value.args[0].fix


def test_a_limit_on_one_file_ends_one_clip(
    clip: Path, tmp_path: Path, models: ModelCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def large(*_: object) -> NoReturn:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))

    monkeypatch.setattr("covos.fleet.work.Job.run", large)
    one = Errand(clip=Clip(input=str(clip), name="a"), settings=Settings(plan=PALETTE), folder=str(tmp_path / "a"))
    assert run_errand(one, models=models).status == "failed"


def test_an_end_for_all_clips_is_the_most_that_is_taken(clip: Path, tmp_path: Path, models: ModelCache) -> None:
    """The clip has 8 frames."""

    def taken(folder: str, *, own: str | None = None, **part: str) -> Row:
        settings = Settings(plan={**PALETTE, "range": Range(**part)})
        one = Clip(input=str(clip), name="it", end=own)
        return run_errand(Errand(clip=one, settings=settings, folder=str(tmp_path / folder)), models=models)

    row = taken("all", start="f2", end="f99")
    assert (row.status, row.frames) == ("done", 6)
    assert row.warnings[-1].startswith("it ends before the end f99")
    assert taken("all", start="f2", end="f99").status == "done before"
    assert taken("less", end="f5").warnings == ()
    assert taken("late", start="f50", end="f99").status == "failed"
    assert taken("own", own="f99").status == "failed"


def test_a_row_says_how_doubtful_its_result_is(clip: Path, tmp_path: Path, models: ModelCache) -> None:
    row = run(models, tmp_path / "out", source=clip)
    report = load_report(tmp_path / "out")
    assert report.quality is not None
    doubtful = [frame.number for frame in report.frames if frame.suspicion > 0]
    assert row.doubtful == report.quality.suspicious == len(doubtful)
    assert row.first_doubtful == (f"f{doubtful[0]}" if doubtful else None)
    assert row.empty == sum(not any(frame.area.values()) for frame in report.frames)
    assert row.confidence is not None
    assert 0 < row.confidence <= 1
    again = run(models, tmp_path / "out", source=clip)
    assert (again.status, again.doubtful, again.confidence) == ("done before", row.doubtful, row.confidence)


def test_results_that_are_empty_or_mostly_doubtful_are_named() -> None:
    def row(name: str, doubtful: int | None, empty: int = 0) -> Row:
        return Row(name=name, input=name, folder=name, status="done", frames=8, doubtful=doubtful, empty=empty)

    assert [*_notes([row("a", 8), row("b", 4), row("c", None)])] == ["1 of 2 results is mostly doubtful: a"]
    assert [*_notes([row("a", 0, empty=7)])] == []
    assert [*_notes([row("a", 0, empty=8), row("b", 8, empty=8), row("c", 8)])] == [
        "2 of 3 results have no subject in any frame: a, b",
        "1 of 3 results is mostly doubtful: c",
    ]


def test_a_line_names_a_clip_that_failed_once() -> None:
    row = Row(
        name="x",
        input="x",
        folder="x",
        status="failed",
        frames=0,
        error=CovosError("x: no such file", why="gone", fix=""),
    )
    assert _line(row) == "failed: x: no such file: gone"


@pytest.mark.parametrize(
    ("clip", "task", "follows"),
    [
        ({}, {}, False),
        ({"objects": "1"}, {"objects": "auto"}, False),
        ({}, {"objects": "auto"}, True),
        ({"objects": "3"}, {}, True),
        ({"mask": "a.png"}, {}, True),
        ({"prompts": "a.json"}, {}, True),
        ({}, {"quality": "best"}, True),
    ],
)
def test_workers_that_follow_need_more_memory(
    monkeypatch: pytest.MonkeyPatch, clip: dict[str, str], task: dict[str, str], follows: bool
) -> None:
    assert Settings(task=task).follows(Clip(input="a.mp4", name="a", **clip)) == follows
    monkeypatch.setattr(processes, "available_devices", lambda: ["cpu"])
    monkeypatch.setattr(processes, "usable_cpus", lambda: 64)
    monkeypatch.setattr(processes, "free_memory", lambda: 30_000_000_000)
    assert processes.choose_workers("auto", follows=follows) == (10 if follows else 20)


def test_precision_and_runtime_that_are_left_open_are_those_of_the_batch(make_clip, tmp_path: Path) -> None:
    clip, models = make_clip("clip.mp4", frames=4), ModelCache()
    computed = {"precision": "bf16", "runtime": "torch"}

    def precision(folder: str, **plan: object) -> str:
        row = run(models, tmp_path / folder, source=clip, computed=computed, plan={**PALETTE, **plan})
        assert row.status == "done", row.error
        settings = json.loads((tmp_path / folder / "covos.json").read_text())["settings"]
        assert "runtime" not in settings  # torch is not named
        return str(settings["precision"])

    assert precision("open", precision="auto", runtime="auto") == "bfloat16"
    assert precision("silent") == "bfloat16"
    assert precision("named", precision="fp32") == "float32"
    # A clip that was begun otherwise goes on as it was begun.
    shutil.copytree(tmp_path / "named", tmp_path / "begun")
    project = tmp_path / "begun" / "covos.json"
    project.write_text(json.dumps({**json.loads(project.read_text()), "complete": False}))
    assert precision("begun") == "float32"
