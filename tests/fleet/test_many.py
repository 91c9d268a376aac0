"""A batch of very many clips: each costs the same, in time and in memory, however many there are."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import covos
from covos.cli import main
from covos.cli.batch import _notes
from covos.fleet import batch, summary, work
from covos.fleet.manifests import Clip
from covos.fleet.summary import EVERY, SHARE, Summary
from covos.fleet.work import Row, Settings, errands
from scripted_hands import Scripted

MANY = 10_000
SIZES = 30, 60, 300
"""Numbers of clips whose costs are compared."""


class Ready(Scripted):
    """Workers of this machine that have done each clip at once."""

    def __init__(self, *, device: str, **settings: Any) -> None:
        super().__init__(deaths={}, **settings)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clips are done at once, and nothing depends on how long a busy machine takes for the rest."""
    monkeypatch.setattr(batch, "Processes", Ready)
    monkeypatch.setattr(summary, "EVERY", float("inf"))
    monkeypatch.setattr("covos.core.progress.LINE_EVERY", float("inf"))


def calls(function: Callable[[], object]) -> int:
    """Count the calls of functions, of Python and of C, in a call."""
    count = 0

    def counted(frame: FrameType, event: str, _: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        function()
    finally:
        sys.setprofile(before)
    return count


def each_costs_the_same(cost: Callable[[int], int]) -> bool:
    """Compare what one more clip costs among few and among many."""
    few, more, many = map(cost, SIZES)
    return (many - more) / (SIZES[2] - SIZES[1]) < 1.1 * (more - few) / (SIZES[1] - SIZES[0])


def manifest(folder: Path, number: int) -> Path:
    """List so many clips, of one file, in a few folders."""
    (folder / "clip.mp4").write_bytes(b"no video")
    rows = "".join(f"clip.mp4,group-{each % 9}/clip-{each},left\n" for each in range(number))
    place = folder / f"{number}.csv"
    place.write_text(f"input,name,camera\n{rows}", encoding="utf-8")
    return place


def filled(folder: Path, number: int) -> Path:
    """Put so many clips into folders of a folder."""
    place = folder / f"{number}"
    for each in range(number):
        (place / f"group-{each % 9}").mkdir(parents=True, exist_ok=True)
        (place / f"group-{each % 9}" / f"clip-{each}.mp4").touch()
    return place


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("inputs", ["manifest", "folder", "pattern"])
def test_a_clip_costs_the_same_among_few_and_among_many(tmp_path: Path, inputs: str) -> None:
    def cost(number: int) -> int:
        given = manifest(tmp_path, number) if inputs == "manifest" else filled(tmp_path, number)
        place = str(given / "*" / "*.mp4") if inputs == "pattern" else str(given)
        command = ["batch", place, "-o", str(tmp_path / "out"), "-f", "palette", "--device", "cpu", "--workers", "4"]
        assert main(command) == 0  # what is loaded for the first time does not count
        found = calls(lambda: main(command))
        lines = (tmp_path / "out" / "batch.csv").read_text(encoding="utf-8").splitlines()
        assert len(lines) == 1 + number
        return found

    assert each_costs_the_same(cost)


@pytest.mark.usefixtures("at_once")
def test_a_clip_that_is_done_costs_one_look_among_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch was cut off; the same command goes on with what is left."""
    looked: list[Path] = []

    def is_finished(folder: Path) -> bool:
        looked.append(folder)
        return int(folder.name.partition("-")[2]) % 3 > 0

    monkeypatch.setattr(work, "is_finished", is_finished)

    def cost(number: int) -> int:
        given = manifest(tmp_path, number)
        found = calls(lambda: covos.Batch(given, tmp_path / "out", device="cpu", workers=4, skip_existing=True).run())
        assert len(looked) == len(set(looked)) == number
        looked.clear()
        return found

    cost(SIZES[0])
    assert each_costs_the_same(cost)


@pytest.mark.usefixtures("at_once")
def test_a_clip_takes_little_memory_and_no_more_once_it_is_done(tmp_path: Path) -> None:
    number = SIZES[-1]
    covos.Batch(manifest(tmp_path, 9), tmp_path / "out", device="cpu", workers=4).run()
    given = manifest(tmp_path, number)
    tracemalloc.start()
    try:
        made = covos.Batch(given, tmp_path / "out", device="cpu", workers=4)
        gc.collect()
        planned, _ = tracemalloc.get_traced_memory()
        result = made.run()
        gc.collect()
        done, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(result.rows) == number
    assert planned < 6_000 * number
    assert done - planned < 100 * number
    assert most - planned < 2_000 * number, "the table of all clips"


def test_ten_thousand_clips_pass_through_the_same_few_workers(tmp_path: Path) -> None:
    clips = tuple(Clip(input="clip.mp4", name=f"clip-{number}") for number in range(MANY))
    listed = errands(clips, output=str(tmp_path), settings=Settings())
    hands = Scripted(deaths={"clip-7": 9}, count=4, retry=1)
    looks = 0

    def answered(asked: list[int]) -> list[int]:
        nonlocal looks
        looks += 1
        return Scripted.answered(hands, asked)

    hands.answered = answered  # type: ignore[method-assign]
    with Summary(str(tmp_path / "batch.csv"), [each.row for each in listed], clock=lambda: 0.0) as told:
        for row in hands.run(listed):
            told.add(row)
            assert len(hands._busy) <= 4
    assert (hands.most, len(hands.engaged)) == (4, 5), "one worker took the place of another"
    assert looks == len(hands.order) == MANY + 1, "one clip was tried twice"
    assert [row.name for row in told.rows.values() if row.status == "failed"] == ["clip-7"]
    assert len((tmp_path / "batch.csv").read_text(encoding="utf-8").splitlines()) == MANY + 1


class Compared(str):
    """A name that counts how often names are compared."""

    __slots__ = ()
    count = 0

    def __eq__(self, other: object) -> bool:
        Compared.count += 1
        return str.__eq__(self, str(other))

    def __hash__(self) -> int:
        return str.__hash__(self)


def test_the_notes_on_many_clips_compare_no_names() -> None:
    made = {"input": "a", "folder": "a", "status": "done", "frames": 4, "doubtful": 4}
    rows = [Row(name=Compared(f"clip-{each}"), empty=4 * (each % 2), **made) for each in range(100)]  # type: ignore[arg-type]
    nothing, doubtful = _notes(rows)
    assert nothing.startswith("50 of 100 results have no subject in any frame: clip-1, clip-3")
    assert doubtful.startswith("50 of 100 results are mostly doubtful: clip-0, clip-2")
    assert Compared.count == 0


def test_a_table_that_takes_long_is_written_less_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, written = 0.0, []

    def slow(*given: Any) -> bytes:
        nonlocal now
        now += 3
        written.append(now)
        return b""

    monkeypatch.setattr(summary, "_as_csv", slow)
    row = Row(name="a", input="a.mp4", folder="a")
    with Summary(str(tmp_path / "batch.csv"), [row], clock=lambda: now) as told:
        for _ in range(2_000):
            now += 1
            told.add(row)
    assert written[0] == EVERY + 3
    waits = [later - earlier for earlier, later in pairwise(written[:-1])]
    assert waits
    assert {*waits} == {3 / SHARE + 3}
