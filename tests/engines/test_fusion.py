from __future__ import annotations

import pytest
import torch

from covos.core.types import ObjectStatus, Presence
from covos.engines.backward import fuse
from covos.engines.follow_pass import GIVEN_LOGIT, FramePrediction

GIVEN = {1: (0, 100)}


def answer(index: int, columns: slice, *, state: Presence = "present", confidence: float = 0.9) -> FramePrediction:
    """Object 1 in some columns of a frame of 4 x 12 cells; nowhere if it is not present."""
    odds = torch.full((1, 4, 12), -4.0)
    odds[:, :, columns] = 4.0 if state == "present" else -4.0
    status = ObjectStatus(id=1, state=state, confidence=confidence)
    return FramePrediction(index=index, log_odds=odds, objects=(status,))


def columns_of(fused: FramePrediction) -> list[int]:
    return torch.nonzero((fused.log_odds[0] > 0).all(dim=0)).flatten().tolist()


@pytest.mark.parametrize("index", [20, 50, 66])
def test_a_pass_that_has_lost_the_object_does_not_take_it_from_the_one_that_sees_it(index: int) -> None:
    seen, lost = answer(index, slice(2, 6)), answer(index, slice(0), state="lost", confidence=0.95)
    for fused in (fuse(seen, lost, given=GIVEN), fuse(lost, seen, given={1: (0, 2 * index)})):
        assert columns_of(fused) == [2, 3, 4, 5]
        assert fused.objects[0].state == "present"
        assert fused.objects[0].confidence == pytest.approx(0.9)


def test_near_a_correction_its_word_counts_though_it_sees_nothing() -> None:
    drifted, absent = answer(95, slice(0, 4), confidence=0.5), answer(95, slice(0), state="lost", confidence=0.9)
    fused = fuse(drifted, absent, given=GIVEN)
    assert fused.objects[0].state == "lost"
    assert columns_of(fused) == []
    assert float(fused.log_odds.max()) <= -GIVEN_LOGIT


def test_of_two_places_the_weightier_is_taken_not_neither() -> None:
    early, late = answer(30, slice(0, 3)), answer(30, slice(8, 11))
    assert columns_of(fuse(early, late, given=GIVEN)) == [0, 1, 2]
    early, late = answer(70, slice(0, 3)), answer(70, slice(8, 11))
    assert columns_of(fuse(early, late, given=GIVEN)) == [8, 9, 10]


def test_where_both_agree_their_mean_is_taken() -> None:
    early, late = answer(20, slice(0, 6), confidence=0.8), answer(20, slice(0, 5), confidence=0.8)
    fused = fuse(early, late, given=GIVEN)
    assert columns_of(fused) == [0, 1, 2, 3, 4, 5]
    assert 0 < float(fused.log_odds[0, 0, 5]) < 4
    assert fused.objects[0].confidence == pytest.approx(0.8)


def test_what_is_shown_nowhere_is_not_present() -> None:
    nothing = answer(40, slice(0))
    fused = fuse(nothing, answer(40, slice(0)), given=GIVEN)
    assert fused.objects[0].state == "occluded"


def test_an_object_that_one_pass_does_not_know_yet_is_the_others() -> None:
    empty = FramePrediction(index=10, log_odds=torch.zeros(0, 4, 12), objects=())
    known = answer(10, slice(3, 5))
    assert fuse(empty, known, given={1: (100,)}) is known
    assert fuse(known, None, given=GIVEN) is known
