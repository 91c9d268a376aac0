"""Errands are handed to idle workers; one that dies costs one attempt."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from covos.core.errors import CheckpointError, CovosError
from covos.fleet import work
from covos.fleet.hands import Counted, Died
from covos.fleet.manifests import Clip
from covos.fleet.work import Errand, Row, Settings, cut_off, errands
from covos.runs.folder import PROJECT
from covos.runs.journal import JOURNAL
from scripted_hands import DEATH, Scripted


def made(*names: str) -> list[Errand]:
    return errands(tuple(Clip(input=name, name=name) for name in names), output="out", settings=Settings())


def test_each_clip_ends_once_and_no_worker_has_two() -> None:
    hands = Scripted(deaths={}, count=2, retry=0)
    rows = list(hands.run(made("a", "b", "c", "d")))
    assert sorted(row.name for row in rows) == ["a", "b", "c", "d"]
    assert {row.status for row in rows} == {"done"}
    assert (hands.most, len(hands.engaged), sorted(hands.dismissed)) == (2, 2, [0, 1])


def test_a_death_is_tried_again_behind_the_others_and_told_when_it_repeats() -> None:
    hands = Scripted(deaths={"a": 1, "b": 9}, count=1, retry=2)
    rows = {row.name: row for row in hands.run(made("a", "b", "c"))}
    assert hands.order == ["a", "b", "c", "a", "b", "b"]
    assert (rows["a"].status, rows["a"].attempts) == ("done", 2)
    assert (rows["b"].status, rows["b"].attempts, rows["b"].error) == ("failed", 3, DEATH)
    assert rows["c"].attempts == 1
    assert len(hands.engaged) == 4  # one after each of four deaths, but for the last


def test_a_model_that_cannot_be_loaded_ends_all() -> None:
    hands = Scripted(deaths={}, model=False, count=2, retry=3)
    with pytest.raises(CheckpointError):
        list(hands.run(made("a", "b", "c")))
    assert sorted(hands.dismissed) == [0, 1]


def test_a_signal_reaches_the_workers() -> None:
    hands = Scripted(deaths={}, count=2, retry=0)
    running = hands.run(made("a", "b", "c"))
    next(running)
    with pytest.raises(KeyboardInterrupt):
        running.throw(KeyboardInterrupt)
    assert len(hands.interrupted) == 2


@pytest.mark.parametrize("end", [KeyboardInterrupt(), SystemExit(1), CheckpointError("no", why="a test", fix="none")])
def test_rows_that_come_while_a_batch_is_cut_off_are_kept(end: BaseException) -> None:
    hands = Scripted(deaths={"c": 9}, count=3, retry=0)
    running = hands.run(made("a", "b", "c", "d"))
    assert next(running).name == "a"
    with pytest.raises(type(end)):
        running.throw(end)
    assert [(row.name, row.status) for row in hands.late] == [("b", "done")]
    assert [errand.clip.name for errand in hands.begun] == ["c"]
    assert {*hands.dismissed} >= {0, 1}, "the workers of a and b live"


class Crowded(Scripted):
    """Workers of which the first has a place, and the others have one after so many looks."""

    def __init__(self, *, looks: float, **settings: Any) -> None:
        super().__init__(deaths={}, **settings)
        self.looks = looks

    def placed(self, hands: list[int]) -> list[int]:
        return [hand for hand in hands if hand == 0 or len(self.order) > self.looks]

    def answered(self, hands: list[int]) -> list[int]:
        return [hand for hand in hands if hand in self._busy or self.placed([hand])]


@pytest.mark.parametrize(("looks", "most"), [(99, 1), (2, 2)])
def test_a_worker_without_a_place_has_no_errand_and_joins_when_it_has_one(looks: int, most: int) -> None:
    hands = Crowded(looks=looks, count=2, retry=0)
    at_once = [len(hands._busy) for row in hands.run(made(*"abcdef")) if row.status == "done"]
    assert len(at_once) == 6
    assert max(at_once) + 1 == most, "one has just ended"
    assert hands.engaged == [0, 1]
    assert sorted(hands.dismissed) == [0, 1]


class Busy(Scripted):
    """All but the first worker say how far they are, again and again."""

    def answer(self, hand: int) -> Row | Counted | Died | CovosError:
        return Counted(frames=1) if hand else super().answer(hand)


def test_an_error_that_ends_a_batch_does_not_wait_for_the_clips_at_work() -> None:
    hands = Busy(deaths={}, model=False, count=2, retry=0)
    with pytest.raises(CheckpointError):
        list(hands.run(made("a", "b")))
    assert [errand.clip.name for errand in hands.begun] == ["a", "b"]


class Slow(Scripted):
    """Clips that hang at their first attempts, as often as ``hangs`` says, while a clock goes on by a second a look."""

    def __init__(self, *, hangs: dict[str, int], loads: int = 0, late: bool = False, **settings: Any) -> None:
        self.now = 0.0
        super().__init__(deaths={}, clock=lambda: self.now, **settings)
        self.hangs, self.loads, self.late = hangs, loads, late
        self.stopped: list[tuple[str, float]] = []

    def answered(self, hands: list[int]) -> list[int]:
        self.now += 1
        return [each for each in hands if self.hangs.get(self._busy[each].clip.name, 0) <= self._busy[each].attempts]

    def has_begun(self, hand: int) -> bool:
        return self.now > self.loads

    def stop(self, hand: int) -> Row | None:
        errand = self._busy[hand]
        self.stopped.append((errand.clip.name, self.now))
        return replace(errand.row, status="done") if self.late else None


def test_a_clip_that_takes_too_long_fails_and_the_others_go_on() -> None:
    hands = Slow(hangs={"a": 9}, count=1, retry=1, limit=30)
    rows = {row.name: row for row in hands.run(made("a", "b", "c"))}
    assert hands.order == ["a", "b", "c", "a"]
    assert [name for name, _ in hands.stopped] == ["a", "a"]
    assert (rows["a"].status, rows["a"].attempts) == ("failed", 2)
    assert (error := rows["a"].error) is not None
    assert "takes longer than 30 s" in error.what
    assert "no more time" in error.why
    assert (rows["b"].status, rows["c"].status) == ("done", "done")


def test_a_clip_that_took_too_long_once_is_tried_again() -> None:
    hands = Slow(hangs={"a": 1}, count=1, retry=1, limit=30)
    assert [(row.status, row.attempts) for row in hands.run(made("a"))] == [("done", 2)]


def test_the_time_of_a_clip_begins_when_its_worker_works() -> None:
    hands = Slow(hangs={"a": 9}, loads=500, count=1, retry=0, limit=30)
    assert [row.status for row in hands.run(made("a"))] == ["failed"]
    ((_, now),) = hands.stopped
    assert now > 500 + 30


def test_a_row_that_comes_while_its_worker_is_ended_counts() -> None:
    hands = Slow(hangs={"a": 9}, late=True, count=1, retry=1, limit=30)
    assert [row.status for row in hands.run(made("a"))] == ["done"]


def test_a_clip_that_took_too_long_says_for_how_long_and_how_far_it_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "count_entries", lambda path: 3 if path == tmp_path / "a" / JOURNAL else 0)
    hands = Slow(hangs={"a": 9}, count=1, retry=1, limit=30)
    given = errands((Clip(input="a", name="a"),), output=str(tmp_path), settings=Settings())
    (row,) = hands.run(given)
    assert row.seconds >= 60, "both attempts"
    assert row.frames == 3


@pytest.mark.parametrize(("hangs", "workers", "seconds"), [(1, 1, 32), (9, 2, 2)])
def test_a_clip_that_is_cut_off_counts_the_attempts_that_were_begun(
    monkeypatch: pytest.MonkeyPatch, hangs: int, workers: int, seconds: int
) -> None:
    """One waits for its second attempt, the other is at its first."""
    monkeypatch.setattr(work, "count_entries", lambda path: 3)
    hands = Slow(hangs={"a": hangs}, count=workers, retry=1, limit=30)
    running = hands.run(made("a", "b", "c"))
    assert next(running).name == "b"
    with pytest.raises(KeyboardInterrupt):
        running.throw(KeyboardInterrupt)
    (row,) = map(cut_off, hands.begun)
    assert (row.name, row.status, row.frames) == ("a", "begun", 3)
    assert (row.attempts, row.seconds) == (1, seconds)


def test_a_clip_that_is_cut_off_does_not_count_the_frames_that_it_was_to_replace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "count_entries", lambda path: 9)
    (tmp_path / "a").mkdir()
    project = tmp_path / "a" / PROJECT
    project.write_text("{}", encoding="utf-8")
    os.utime(project, ns=(1, 1))
    for overwrite, after, frames in ((True, 1, 0), (True, 2, 9), (False, 1, 9)):
        settings = Settings(overwrite=overwrite)
        (given,) = errands((Clip(input="a", name="a"),), output=str(tmp_path), settings=settings)
        os.utime(project, ns=(1, 1))
        errand = replace(given.handed_over(), seconds=41.2).again()
        os.utime(project, ns=(after, after))
        row = cut_off(errand)
        assert (row.status, row.frames, row.attempts, row.seconds) == ("begun", frames, 1, 41.2)


def test_a_batch_knows_if_it_has_begun_the_run_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    project = tmp_path / "a" / PROJECT
    project.write_text("{}", encoding="utf-8")
    (errand,) = errands((Clip(input="a", name="a"),), output=str(tmp_path), settings=Settings(overwrite=True))
    first = errand.handed_over()
    assert not first.has_begun, "what is there is of another run"
    os.utime(project, ns=(1, 1))
    assert first.has_begun
    assert first.again().handed_over().has_begun, "a further attempt goes on with that of the first"
    assert replace(errand, is_own=True).handed_over().has_begun
