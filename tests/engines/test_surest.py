"""The frames in which a subject was found most surely, and the mean of what is found and what is followed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch

from covos.core.types import Frame, FrameResult, ObjectStatus
from covos.engines import surest
from covos.engines.backward import Spool
from covos.engines.choices import SUBJECT
from covos.engines.find import uncomputed
from covos.engines.follow_pass import FramePrediction
from covos.engines.shots import Shots
from covos.engines.surest import PART, STRETCH, SURE, SeedChoice, stretches_of

SIZE = (6, 8)


def of(index: int, *, confidence: float = 0.9, subject: bool = True) -> FrameResult:
    image = np.zeros((*SIZE, 3), np.uint8)
    frame = Frame(index=index, stem=str(index), image=image, pts=index, time_base=Fraction(1, 25))
    probability = np.zeros(SIZE, np.float32)
    if subject:
        probability[1:3, 2:5] = 0.8
    labels = (probability > 0.5).astype(np.uint8)
    return FrameResult(frame=frame, probability=probability, labels=labels, confidence=confidence)


@pytest.mark.parametrize(
    ("count", "cuts"), [(1, ()), (STRETCH, ()), (STRETCH + 1, ()), (1000, (1, 7, 500)), (0, ()), (250, (200,))]
)
def test_stretches_hold_all_frames_of_each_shot_once(count: int, cuts: tuple[int, ...]) -> None:
    stretches = stretches_of(Shots(frame_count=count, cuts=cuts))
    assert [index for each in stretches for index in each] == list(range(count))
    assert max((len(each) for each in stretches), default=0) <= STRETCH
    assert {0, *cuts} & set(range(count)) <= {each.start for each in stretches}


def chosen(*results: FrameResult, stretch: range = range(2 * PART)) -> list[int]:
    choice = SeedChoice(stretch)
    for each in results:
        choice.see(each)
    return sorted(choice.given())


def test_the_surest_frame_of_each_part_is_a_seed() -> None:
    late = PART + 5
    every = (of(0), of(3, confidence=0.95), of(4, confidence=0.94), of(late), of(late + 1, confidence=0.88))
    assert chosen(*every) == [3, late]
    choice = SeedChoice(range(2 * PART))
    for each in every:
        choice.see(each)
    np.testing.assert_array_equal(choice.given()[3][SUBJECT], of(3).labels > 0)


def test_doubtful_frames_are_no_seeds() -> None:
    late = PART + 5
    assert chosen(of(3, confidence=SURE - 0.01)) == []
    assert chosen(of(3, confidence=0.99), of(late, confidence=0.8)) == [3], "the other is so much surer"
    assert chosen(of(3, confidence=math.nan), of(4, confidence=0.8)) == [4], "it was not computed"
    assert chosen(of(3, subject=False, confidence=1.0), of(4, confidence=0.8)) == [4], "there is nothing to follow"
    unreadable = of(3, confidence=1.0)
    assert chosen(replace(unreadable, frame=replace(unreadable.frame, status="unreadable"))) == []


@pytest.fixture
def mean() -> Callable[..., FrameResult]:
    """The mean of a logit that was found everywhere and of a probability that was followed everywhere."""

    def make(found: float | None, followed: float, *, state: str = "present") -> FrameResult:
        status = ObjectStatus(id=SUBJECT, state=state, confidence=0.9)  # type: ignore[arg-type]
        result = replace(of(0), probability=np.full(SIZE, followed, np.float32), objects=(status,))
        with Spool() as waiting:
            if found is not None:
                waiting.put(FramePrediction(index=0, log_odds=torch.full((1, *SIZE), found), objects=()))
            return surest._mean(result, waiting)

    return make


def test_the_logits_are_averaged(mean: Callable[..., FrameResult]) -> None:
    result = mean(3.0, 0.5)
    np.testing.assert_allclose(result.probability, 1 / (1 + math.exp(-1.5)), atol=1e-5)
    assert (result.labels == 1).all()
    assert not mean(-3.0, 0.9).labels.any()
    assert result.objects == (), "it is a subject, not an object"
    # Neither is heard louder than the other, however sure it is.
    assert mean(12.0, 1e-9).probability[0, 0] == pytest.approx(0.5)


@pytest.mark.parametrize("state", ["occluded", "lost"])
def test_what_is_out_of_sight_for_following_is_as_it_was_found(mean: Callable[..., FrameResult], state: str) -> None:
    np.testing.assert_allclose(mean(2.0, 0.0, state=state).probability, 1 / (1 + math.exp(-2.0)), atol=1e-5)


def test_where_one_network_gave_no_numbers_the_other_is_heard(mean: Callable[..., FrameResult]) -> None:
    np.testing.assert_allclose(mean(None, 0.7).probability, 0.7)
    np.testing.assert_allclose(mean(2.0, math.nan).probability, 1 / (1 + math.exp(-2.0)), atol=1e-5)
    with Spool() as waiting:
        assert math.isnan(surest._found_at(of(0).frame, waiting).confidence)
    assert math.isnan(uncomputed(of(0).frame).confidence)
