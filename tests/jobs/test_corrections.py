"""Corrections that obey: what a session follows after a click changes round the click, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import covos
from covos.core.errors import SourceError, UsageError
from covos.core.types import FrameResult, ObjectStatus
from covos.model import Model
from covos.sessions.session import Session

AT_FULL_SIZE = True
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SIZE = (48, 64)
BODY, LIMB, FAR = (12, 4, 16, 16), (16, 20, 6, 8), (38, 50, 6, 6)


def mask(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    made = np.zeros(SIZE, bool)
    for top, left, height, width in boxes:
        made[top : top + height, left : left + width] = True
    return made


class Staged:
    """Following that gives the masks of a list, and those that the user gave on their frames."""

    def __init__(self, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers: list[np.ndarray] = []
        monkeypatch.setattr(session, "streaming", self._streaming)
        self._session = session

    def _streaming(self, direction: str) -> Iterator[FrameResult]:
        given = self._session.seeds.given()
        for frame, answer in zip(self._session.source, self.answers, strict=True):
            shown = given.get(frame.index, {}).get(1, answer)
            yield FrameResult(
                frame=frame,
                probability=shown.astype(np.float32),
                labels=shown.astype(np.uint8),
                confidence=0.8,
                objects=(ObjectStatus(id=1, state="present", confidence=0.8),),
            )

    def propagate(self, *boxes: tuple[int, int, int, int]) -> list[np.ndarray]:
        self.answers = [mask(*boxes)] * 8
        return [each.labels == 1 for each in self._session.propagate("both")]


def test_a_part_that_is_added_stays_and_a_far_place_does_not_change(
    model: Model, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with model.session(clip) as session:
        staged = Staged(session, monkeypatch)
        session.add_mask(0, 1, mask=mask(BODY))
        first = staged.propagate(BODY)
        session.add_mask(4, 1, mask=mask(BODY, LIMB))
        second = staged.propagate(BODY, LIMB, FAR)
        for index, each in enumerate(second):
            np.testing.assert_array_equal(each, mask(BODY) if index == 0 else mask(BODY, LIMB))
        # Another correction goes on from what the first has left.
        session.add_mask(6, 1, mask=mask(BODY, LIMB, FAR))
        third = staged.propagate(BODY, FAR)
        for index, each in enumerate(third[1:], 1):
            assert index in (4, 6) or (each & mask(LIMB)).any(), "nobody has asked to take it away"
            assert (each & mask(FAR)).any() == (index > 4), "it was not on the frame that was shown before"
        session.undo()
        np.testing.assert_array_equal(staged.propagate(BODY, LIMB, FAR), second)
        np.testing.assert_array_equal(staged.propagate(BODY, LIMB, FAR), second)
        session.undo()
        np.testing.assert_array_equal(staged.propagate(BODY), first)


@pytest.mark.parametrize("absent", [False, True])
def test_where_nothing_is_new_nothing_is_followed(
    model: Model, clip: Path, monkeypatch: pytest.MonkeyPatch, absent: bool
) -> None:
    with model.session(clip) as session:
        staged = Staged(session, monkeypatch)
        session.add_mask(0, 1, mask=mask(BODY))
        if absent:
            session.add_absent(4, 1)
        first = staged.propagate(BODY)
        session.add_mask(5, 1, mask=mask(BODY))
        as_followed = staged.propagate(BODY)
        found = session.result("both")

        def refuse(*_: object) -> Iterator[FrameResult]:
            raise AssertionError("a pass was made")

        session.undo()
        monkeypatch.setattr(session, "streaming", refuse)
        session.add_mask(5, 1, mask=mask(BODY))
        again = session.propagate("both")
        assert [frame.objects for frame in again] == [frame.objects for frame in found]
        assert again[5].states == (ObjectStatus(id=1, state="present", confidence=1.0),), "the user has said so"
        assert again[6] == found[6]
        np.testing.assert_array_equal(as_followed, first)
        session.add_mask(6, 1, mask=mask(BODY, LIMB))
        with pytest.raises(AssertionError, match="a pass was made"):
            session.propagate("both")
        session.undo()
        session.add_mask(6, 2, mask=mask(FAR))
        with pytest.raises(AssertionError, match="a pass was made"):
            session.propagate("both")


def test_a_session_that_follows_nothing_tells_how_the_masks_were_made(
    model: Model, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with model.session(clip) as session:
        staged = Staged(session, monkeypatch)
        session.add_mask(0, 1, mask=mask(BODY))
        staged.propagate(BODY)
        found = session.result("both")
    damaged = replace(found, health=replace(found.health, concealed=(3,)))
    with model.session(damaged) as session:
        assert session.result("both").health == damaged.health
        session.add_mask(5, 1, mask=mask(BODY))
        again = session.propagate("both")
        assert not session.has_followed
        assert again.health == damaged.health
        staged = Staged(session, monkeypatch)
        session.add_mask(6, 1, mask=mask(BODY, LIMB))
        staged.propagate(BODY)
        assert session.has_followed
        assert session.result("both").health == found.health, "of the pass that was made here"


def test_masks_from_a_stream_are_corrected_too(model: Model, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with model.session(clip) as session:
        staged = Staged(session, monkeypatch)
        session.add_mask(0, 1, mask=mask(BODY))
        staged.answers = [mask(BODY)] * 8
        for _ in session.stream("both"):
            pass
        session.add_mask(4, 1, mask=mask(BODY, LIMB))
        assert not any((each & mask(FAR)).any() for each in staged.propagate(BODY, LIMB, FAR))
        # A stream tells what is followed, before it is known where a correction ends.
        assert all(result.labels[40, 52] for result in session.stream("both") if result.frame.index not in (0, 4))


@pytest.mark.parametrize("prompted", [True, False])
def test_a_result_is_gone_on_from(
    model: Model, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prompted: bool
) -> None:
    with model.session(clip) as session:
        staged = Staged(session, monkeypatch)
        session.add_mask(0, 1, mask=mask(BODY))
        staged.propagate(BODY)
        session.result().save(tmp_path / "out", formats=["npz"])
    result = covos.load_result(tmp_path / "out")
    if not prompted:  # as of a subject that was found
        result = replace(result, origin=replace(result.origin, settings={}))
    assert result[3].states == (ObjectStatus(id=1, state="present", confidence=0.8),)
    with model.session(result) as session:
        staged = Staged(session, monkeypatch)
        assert [seed.frame for seed in session.shown] == [0] * prompted
        with pytest.raises(UsageError, match="nothing to undo"):
            session.undo()
        session.add_mask(4, 1, mask=mask(BODY, LIMB))
        second = staged.propagate(BODY, LIMB, FAR)
        for index, each in enumerate(second):
            np.testing.assert_array_equal(each, mask(BODY) if index == 0 and prompted else mask(BODY, LIMB))
        assert session.seeds.check_place(2, None) == 2, "the next free one"
        session.undo()
        if prompted:
            assert all((each == mask(BODY)).all() for each in staged.propagate(BODY))
            session.remove(1)
            session.add_mask(0, 1, mask=mask(FAR))
            assert all((each == mask(FAR)).all() for each in staged.propagate(FAR)), "it is another object"
    with pytest.raises(UsageError, match="beside a result"):
        model.session(result, range=range(2, 4))


def test_a_result_whose_video_is_another_is_refused(model: Model, make_clip: Callable[..., Path]) -> None:
    result = covos.segment(make_clip(frames=6), model=model)
    make_clip(frames=4)
    with pytest.raises(SourceError, match="has changed"):
        model.session(result)


def test_a_forward_stream_spreads_a_correction_as_frames_come(
    model: Model, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with model.session(clip) as session:
        staged = Staged(session, monkeypatch)

        def stream(*boxes: tuple[int, int, int, int]) -> Iterator[np.ndarray]:
            staged.answers = [mask(*boxes)] * 8
            for result in session.stream("forward"):
                assert result.probability.dtype == np.float32
                np.testing.assert_array_equal(result.probability > 0.5, result.labels == 1)
                yield result.labels == 1

        session.add_mask(0, 1, mask=mask(BODY))
        first = list(stream(BODY))
        session.add_mask(4, 1, mask=mask(BODY, LIMB))
        for _ in range(2):  # the second time it is the same
            for index, each in enumerate(stream(BODY, LIMB, FAR)):
                np.testing.assert_array_equal(each, mask(BODY) if index < 4 else mask(BODY, LIMB))
        # A loop that ends early leaves the later frames as they were.
        session.add_mask(1, 1, mask=mask(BODY, FAR))
        stopped = stream(BODY, FAR)
        for index in range(3):
            np.testing.assert_array_equal(next(stopped), mask(BODY, FAR) if index else mask(BODY))
        stopped.close()
        kept = [each.labels == 1 for each in session.result()]
        np.testing.assert_array_equal(kept[2], mask(BODY, FAR))
        np.testing.assert_array_equal(kept[5], mask(BODY, LIMB))
        session.undo()
        session.undo()
        np.testing.assert_array_equal(list(stream(BODY)), first)


def test_another_object_is_followed_beside_the_first(model: Model, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with model.session(clip) as session:
        staged = Staged(session, monkeypatch)
        session.add_mask(0, 1, mask=mask(BODY))
        staged.propagate(BODY)
        session.remove(1)
        session.add_mask(0, 1, mask=mask(FAR))
        for each in staged.propagate(FAR):
            np.testing.assert_array_equal(each, mask(FAR))


@pytest.mark.slow
def test_a_correction_helps_much_and_harms_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.setattr("covos.model.DEFAULT_AREA", 192 * 256)  # where one click finds the object that got lost
    corrections, scenes = import_module("corrections"), import_module("scenes_staged")
    staged = scenes.staged_clip(3, frames=16)  # two that look the same cross, and one gets lost
    clip = corrections.Clip(name=staged.name, truth=staged.labels)
    with covos.load_model(device="cpu", precision="fp32").session(list(staged.images)) as session:
        session.add_labels(0, labels=staged.labels[0])
        for number in range(2):
            clicked = corrections._click_worst(session, clip) if number else None
            scores = corrections.scores_of(session.propagate().frames, staged.labels)
            clip.rounds.append(corrections.Round(scores=scores, clicked=clicked))
    first, second = clip.rounds
    assert second.mean > first.mean + 0.1
    assert len(corrections.worse_places(first.scores, second.scores)) < 0.01 * len(second.scores)
