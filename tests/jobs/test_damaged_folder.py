"""A folder of pictures of which some cannot be read: each has a row, the others are done, and mending goes on."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from covos.core.errors import SourceError, UsageError
from covos.events import FrameDone, Started
from covos.formats.table import FORMATS
from covos.job import Job
from covos.jobs import run_job
from covos.media.opening import open_source
from covos.model import Model
from covos.plan import Plan
from covos.runs.journal import read_entries
from covos.runs.mending import frames_to_redo
from covos.runs.schema import load_report
from covos.runs.state import EARLIER
from covos.runs.writing import Saved
from covos.task import choose_task

COUNT = 16
Run = Callable[..., Saved]


def picture(index: int) -> np.ndarray[Any, Any]:
    image = np.random.default_rng(index).integers(0, 60, (48, 64, 3), dtype=np.uint8)
    image[12:28, 2 * index : 2 * index + 16] = (230, 200, 40)
    return image


def intact(path: Path) -> Path:
    path.mkdir()
    for index in range(COUNT):
        Image.fromarray(picture(index)).save(path / f"{index:02d}.png")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return intact(tmp_path / "shots")


def cut(path: Path, *, keep: float = 0.5) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])


def start(
    model: Model, source: Path, output: Path, *, stop_after: int | None = None, damaged: str = "hold", **task: Any
) -> Saved:
    def listen(_job: Job, event: object) -> None:
        before = isinstance(event, Started) and event.stage == "frames" and stop_after == 0
        if before or (isinstance(event, FrameDone) and event.index + 1 == stop_after):
            raise KeyboardInterrupt

    plan = Plan(source=str(source), task=choose_task(**task), formats=("palette", "matte"), damaged=damaged)
    outcome = run_job(Job(plan, output, load=lambda _: model), listen=listen)
    if outcome.error is not None:
        raise outcome.error
    assert outcome.saved is not None
    return outcome.saved


@pytest.fixture
def run(model: Model, tmp_path: Path) -> Run:
    def run(source: Path, name: str = "out", **how: Any) -> Saved:
        return start(model, source, tmp_path / name, **how)

    return run


def outputs(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.parent != folder
    }


@pytest.fixture(scope="module")
def whole(model: Model, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Files of a run on pictures that were never damaged."""
    place = tmp_path_factory.mktemp("whole")
    return outputs(start(model, intact(place / "shots"), place / "out").folder)


@pytest.mark.parametrize("spoil", [cut, lambda p: p.write_bytes(b""), lambda p: p.write_text("no image")])
def test_one_damaged_picture_costs_one_mask(folder: Path, run: Run, spoil: Callable[[Path], Any]) -> None:
    spoil(folder / "07.png")
    saved = run(folder)
    report = load_report(saved.folder)
    assert [row.index for row in report.frames] == list(range(COUNT))
    assert [row.index for row in report.frames if row.status == "unreadable"] == [7]
    assert (saved.health.unreadable, saved.health.missing, saved.health.complete) == ((7,), 0, False)
    assert any("07.png" in text for text in saved.warnings)
    masks = [np.asarray(Image.open(saved.folder / "masks" / f"{index:02d}.png")) for index in range(COUNT)]
    assert np.array_equal(masks[7], masks[6])
    assert report.frames[7].confidence is None


def test_the_mask_may_be_left_empty(folder: Path, run: Run) -> None:
    cut(folder / "07.png")
    saved = run(folder, damaged="empty")
    assert not np.asarray(Image.open(saved.folder / "masks" / "07.png")).any()
    with pytest.raises(UsageError, match="other settings"):
        run(folder, damaged="hold")


def test_the_first_and_several_pictures_may_be_damaged(folder: Path, run: Run) -> None:
    for index in (0, 1, 8, 9, COUNT - 1):
        cut(folder / f"{index:02d}.png")
    saved = run(folder)
    assert saved.health.unreadable == (0, 1, 8, 9, COUNT - 1)
    masks = [np.asarray(Image.open(saved.folder / "masks" / f"{index:02d}.png")) for index in range(COUNT)]
    assert not masks[0].any()
    assert not masks[1].any()
    assert np.array_equal(masks[9], masks[7])


def test_objects_are_followed_over_a_damaged_picture(folder: Path, run: Run, random_follower: Path) -> None:
    cut(folder / "05.png")
    mask = np.zeros((48, 64), np.uint8)
    mask[12:28, 0:16] = 1
    from covos.task import read_prompts

    saved = run(folder, prompts=read_prompts(masks=mask), follower=str(random_follower))
    rows = load_report(saved.folder).frames
    assert len(rows) == COUNT
    assert (rows[5].status, rows[5].objects) == ("unreadable", rows[4].objects)


@pytest.mark.parametrize("index", [7, 1, 2, 9])
def test_a_mended_picture_is_gone_on_with(folder: Path, run: Run, whole: dict[str, bytes], index: int) -> None:
    path = folder / f"{index:02d}.png"
    before = path.read_bytes()
    cut(path)
    first = run(folder)
    assert not first.health.complete
    assert run(folder).was_done  # and still not complete
    assert not run(folder).health.complete
    path.write_bytes(before)
    second = run(folder)
    assert not second.was_done
    assert second.health.complete
    assert outputs(second.folder) == whole
    assert [path.name for path in second.folder.glob("journal*")] == ["journal.jsonl"]
    assert run(folder).was_done


def test_only_what_a_mended_picture_touches_is_computed_again(
    folder: Path, run: Run, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(COUNT, 40):
        Image.fromarray(picture(index)).save(folder / f"{index:02d}.png")
    cut(folder / "20.png")
    run(folder, references=2)
    Image.fromarray(picture(20)).save(folder / "20.png")
    seen: list[int] = []
    segment = type(model.engine)._in_views

    def counted(self: Any, observed: Any, **rest: Any) -> Any:
        seen.extend(each.frame.index for each in observed)
        return segment(self, observed, **rest)

    monkeypatch.setattr(type(model.engine), "_in_views", counted)
    assert run(folder, references=2).health.complete
    batch = model.engine.encoder.batch
    # The frame and the next one, four on each side that are brought together with them, in whole batches; and those
    # that these are brought together with.
    assert set(seen) == set(range(12, 32))
    assert batch == 4


@pytest.mark.parametrize("stop_after", [0, 1, 5, 9, 13])
def test_mending_may_be_stopped_and_gone_on_with(
    folder: Path, run: Run, whole: dict[str, bytes], stop_after: int
) -> None:
    before = (folder / "09.png").read_bytes()
    cut(folder / "09.png")
    first = run(folder)
    (folder / "09.png").write_bytes(before)
    with pytest.raises(KeyboardInterrupt) as stop:
        run(folder, stop_after=stop_after)
    # The frames that the picture does not touch stay, though the run may not have come to one of them.
    assert len(list(read_entries(first.folder / EARLIER))) == COUNT
    assert re.match(r"\d+ frames are safe", stop.value.__notes__[0])
    again = run(folder)
    assert again.health.complete
    assert outputs(again.folder) == whole


def test_an_added_picture_is_taken_in(folder: Path, run: Run, tmp_path: Path) -> None:
    cut(folder / "07.png")
    run(folder)
    (folder / "07.png").unlink()
    Image.fromarray(picture(7)).save(folder / "07.png")
    Image.fromarray(picture(COUNT)).save(folder / f"{COUNT}.png")
    saved = run(folder)
    assert (saved.frames, saved.health.complete) == (COUNT + 1, True)
    assert outputs(saved.folder) == outputs(run(folder, "whole").folder)


def test_a_stopped_run_goes_on_after_mending(folder: Path, run: Run, whole: dict[str, bytes]) -> None:
    before = (folder / "07.png").read_bytes()
    cut(folder / "07.png")
    with pytest.raises(KeyboardInterrupt):
        run(folder, stop_after=10)
    (folder / "07.png").write_bytes(before)
    assert outputs(run(folder).folder) == whole


def test_an_intact_result_is_not_replaced_when_its_pictures_change(folder: Path, run: Run) -> None:
    run(folder)
    Image.fromarray(picture(3)).save(folder / "07.png")
    with pytest.raises(UsageError, match="other settings"):
        run(folder)


def test_a_folder_without_one_readable_picture_is_refused(folder: Path) -> None:
    for path in folder.iterdir():
        cut(path)
    with pytest.raises(SourceError, match="cannot be read"):
        open_source(folder)


def test_a_selection_gives_what_a_full_pass_gives(folder: Path) -> None:
    for index in (0, 6, 7, 8):
        cut(folder / f"{index:02d}.png", keep=0.8)
    with open_source(folder) as source:
        whole = list(source)
    with open_source(folder) as source:
        chosen = list(source.select([0, 7, 8, 12]))
    for frame in chosen:
        same = whole[frame.index]
        assert (frame.status, frame.stem, frame.pts) == (same.status, same.stem, same.pts)
        assert np.array_equal(frame.image, same.image)


@pytest.mark.parametrize(
    ("changed", "unreadable", "expected"),
    [
        ([17], [17], range(16, 20)),
        ([15], [], range(12, 20)),  # the next frame takes its motion from it
        ([13], [14, 15, 16], range(12, 20)),
        ([2], [], None),  # a reference
        ([1], [2], None),  # a reference that stands in
        ([23], [], range(20, 24)),
    ],
)
@pytest.mark.parametrize("around", [0, 4])
def test_what_is_touched(changed: list[int], unreadable: list[int], expected: range | None, around: int) -> None:
    found = frames_to_redo(
        changed, count=24, unreadable=unreadable, references=(2,), uses_motion=True, around=around, batch=4
    )
    if expected is None:
        assert found is None
    else:
        first, last = max(expected.start - around, 0), min(expected.stop + around, 24)
        assert found == tuple(range(first, last))


def test_the_terms_hold_each_file(folder: Path, run: Run) -> None:
    cut(folder / "07.png")
    out = run(folder).folder
    held = json.loads((out / "covos.json").read_text())
    assert [name for name, _ in held["inputs"]["each"]] == [f"{index:02d}.png" for index in range(COUNT)]
    assert held["mendable"] is True
    assert set(FORMATS) >= {"palette", "matte"}
