from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from covos.core.types import Presence
from covos.engines.backward import SURE, fuse
from covos.engines.follow_pass import GIVEN_LOGIT, FramePrediction
from engines.noise_clip import status

GIVEN = {1: (0, 100)}


def answer(index: int, columns: slice, *, state: Presence = "present", confidence: float = 0.9) -> FramePrediction:
    """Object 1 in some columns of a frame of 4 x 12 cells; nowhere if it is not present."""
    odds = torch.full((1, 4, 12), -4.0)
    odds[:, :, columns] = 4.0 if state == "present" else -4.0
    return FramePrediction(index=index, log_odds=odds, objects=(status(1, state, confidence),))


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


def test_what_the_backward_pass_has_looked_at_is_not_between() -> None:
    made, seen = replace(answer(20, slice(0, 6)), between=True), answer(20, slice(0, 5))
    assert fuse(made, None, given=GIVEN).between
    assert not fuse(made, seen, given=GIVEN).between


def test_where_both_agree_their_mean_is_taken() -> None:
    early, late = answer(20, slice(0, 6), confidence=0.8), answer(20, slice(0, 5), confidence=0.8)
    fused = fuse(early, late, given=GIVEN)
    assert columns_of(fused) == [0, 1, 2, 3, 4, 5]
    assert 0 < float(fused.log_odds[0, 0, 5]) < 4
    # One column of six is in doubt: that of the pass which is trusted in 21 of 102.
    assert fused.objects[0].confidence == pytest.approx(0.8 * (1 - 21 / 102 / 6))


@pytest.mark.parametrize("index", [1, 10, 50, 90, 99])
def test_of_two_places_one_is_shown_and_the_confidence_says_that_it_may_be_the_other(index: int) -> None:
    fused = fuse(answer(index, slice(0, 3)), answer(index, slice(8, 11)), given=GIVEN)
    assert columns_of(fused) in ([0, 1, 2], [8, 9, 10])
    assert fused.objects[0].state == "present"
    lesser = (1 + min(index, 100 - index)) / 102
    assert fused.objects[0].confidence == pytest.approx(0.9 * (1 - lesser))


def test_next_to_a_given_frame_its_pass_is_not_contradicted() -> None:
    # The user said at frame 20 that columns 6 to 8 belong to the object; the pass from frame 40 is surer of itself.
    near, far = answer(21, slice(2, 9), confidence=0.5), answer(21, slice(2, 6), confidence=0.95)
    assert columns_of(fuse(near, far, given={1: (20, 40)})) == list(range(2, 9))
    near, far = answer(39, slice(2, 6), confidence=0.5), answer(39, slice(2, 9), confidence=0.95)
    assert columns_of(fuse(far, near, given={1: (20, 40)})) == list(range(2, 6))


@pytest.mark.parametrize("index", [22, 24, 26, 28])
def test_what_a_click_put_in_stays_on_its_side_though_the_other_pass_is_louder(index: int) -> None:
    kept, lost = answer(index, slice(2, 9)), answer(index, slice(2, 6))
    kept = replace(kept, log_odds=kept.log_odds.clamp(max=2.5))
    lost = replace(lost, log_odds=lost.log_odds * 3)
    assert columns_of(fuse(kept, lost, given={1: (20, 40)})) == list(range(2, 9))
    assert columns_of(fuse(lost, kept, given={1: (2 * index - 40, 2 * index - 20)})) == list(range(2, 9))


def test_a_pass_that_is_unsure_of_a_pixel_gives_way_to_one_that_is_sure() -> None:
    near, far = answer(26, slice(2, 6)), answer(26, slice(2, 9))
    near.log_odds[0, :, 6:9] = -0.3
    assert columns_of(fuse(near, far, given={1: (20, 40)})) == list(range(2, 9))
    near.log_odds[0, :, 6:9] = -3.0
    assert columns_of(fuse(near, far, given={1: (20, 40)})) == list(range(2, 6))


@pytest.mark.parametrize("index", [1, 30, 50, 80, 99])
def test_pixels_that_both_passes_agree_on_stay_where_their_places_differ(index: int) -> None:
    early, late = answer(index, slice(0, 5)), answer(index, slice(4, 11))
    assert 4 in columns_of(fuse(early, late, given=GIVEN))
    assert 11 not in columns_of(fuse(early, late, given=GIVEN))


def test_a_pixel_that_goes_to_another_object_is_not_claimed_against_it() -> None:
    def both(first: float, second: float) -> FramePrediction:
        odds = torch.tensor([first, second])[:, None, None].expand(2, 4, 12)
        known = tuple(status(identity, confidence=0.9) for identity in (1, 2))
        return FramePrediction(index=60, log_odds=odds, objects=known)

    # Over the background alone, the later pass speaks for object 1 as well; it gives the pixel to object 2.
    fused = fuse(both(3.0, -3.0), both(5.0, 9.0), given={1: (0, 100), 2: (0, 100)})
    assert bool((fused.log_odds[1] > fused.log_odds[0]).all())
    assert bool((fused.log_odds[1] > 0).all())


def test_two_passes_that_say_the_same_are_not_changed() -> None:
    odds = torch.stack([torch.linspace(-6, 6, 48).view(4, 12), torch.linspace(3, -9, 48).view(4, 12)])
    known = tuple(status(identity, confidence=0.9) for identity in (1, 2))
    both = FramePrediction(index=60, log_odds=odds, objects=known)
    torch.testing.assert_close(fuse(both, both, given={1: (0, 90), 2: (40, 90)}).log_odds, odds, atol=1e-4, rtol=0)


def test_what_is_shown_nowhere_is_not_present() -> None:
    nothing = answer(40, slice(0))
    fused = fuse(nothing, answer(40, slice(0)), given=GIVEN)
    assert fused.objects[0] == status(1, "occluded", confidence=pytest.approx(0.1))


def test_an_object_that_one_pass_does_not_know_yet_is_the_others() -> None:
    empty = FramePrediction(index=10, log_odds=torch.zeros(0, 4, 12), objects=())
    known = answer(10, slice(3, 5))
    assert fuse(empty, known, given={1: (100,)}) is known
    assert fuse(known, None, given=GIVEN) is known


def test_fusion_weighs_by_confidence_and_distance() -> None:
    forward = FramePrediction(index=10, log_odds=torch.full((1, 2, 2), SURE), objects=(status(confidence=0.5),))
    backward = FramePrediction(index=10, log_odds=torch.full((1, 2, 2), 1.0), objects=(status(confidence=0.5),))
    middle = fuse(forward, backward, given={1: (0, 20)})
    torch.testing.assert_close(middle.log_odds, torch.full((1, 2, 2), (SURE + 1) / 2))
    near = fuse(forward, backward, given={1: (8, 20)})
    first, second = 1 / (1 + 2), 1 / (1 + 10)
    assert float(near.log_odds[0, 0, 0]) == pytest.approx((SURE * first + second) / (first + second), rel=1e-5)
    sure = fuse(
        FramePrediction(index=10, log_odds=forward.log_odds, objects=(status(confidence=1.0),)),
        backward,
        given={1: (0, 20)},
    )
    assert float(sure.log_odds[0, 0, 0]) == pytest.approx((2 * SURE + 1) / 3, rel=1e-5)
    assert sure.objects[0].confidence == pytest.approx((1 + 0.25) / 1.5)


def test_fusion_takes_an_object_that_one_pass_alone_has() -> None:
    forward = FramePrediction(index=3, log_odds=torch.full((1, 2, 2), 4.0), objects=(status(1),))
    backward = FramePrediction(
        index=3,
        log_odds=torch.stack([torch.full((2, 2), 2.0), torch.full((2, 2), 1.0)]),
        objects=(status(2), status(1)),
    )
    found = fuse(forward, backward, given={1: (0, 9), 2: (8,)})
    assert found.ids == (1, 2)
    # The pixel is disputed: the pass that does not know object 2 is the nearer one.
    assert float(found.log_odds[0, 0, 0]) > float(found.log_odds[1, 0, 0]) > 0
    assert found.objects[1] == status(2)


def test_fusion_lets_the_weightier_pass_say_that_an_object_is_gone() -> None:
    forward = FramePrediction(
        index=10, log_odds=torch.full((1, 2, 2), -GIVEN_LOGIT), objects=(status(state="occluded", confidence=0.9),)
    )
    backward = FramePrediction(index=10, log_odds=torch.full((1, 2, 2), 12.0), objects=(status(confidence=0.1),))
    found = fuse(forward, backward, given={1: (9, 40)})
    assert found.objects[0].state == "occluded"
    assert float(found.log_odds.max()) <= -GIVEN_LOGIT
