from __future__ import annotations

import numpy as np
import pytest
import torch

from covos.engines.candidates import ANCHORS, CONFIRMED, Anchor, Candidate, appearance_of, choose_candidates, same_thing


def anchor(frame: int, confidence: float, *, look: tuple[float, float] = (1, 0)) -> Anchor:
    return Anchor(frame=frame, logit=torch.zeros(2, 2), confidence=confidence, appearance=np.array(look, np.float32))


def candidate(key: int, *, first: int = 0, confirmed: int = 5, seen: int = 6, area: float = 0.6) -> Candidate:
    return Candidate(id=key, first=first, confirmed=confirmed, seen=seen, area=area, anchors=[anchor(first, 0.9)])


def frames(of: Candidate) -> list[int]:
    return sorted(each.frame for each in of.anchors)


def test_an_appearance_weighs_each_cell_by_the_share_of_it_that_the_mask_covers() -> None:
    mask = np.zeros((4, 8), bool)
    mask[2:, 2:] = True  # a quarter of the left cell, which its first pixel is not in, and half of the right one
    found = appearance_of(np.eye(2, dtype=np.float32), mask, cells=(1, 2))
    np.testing.assert_allclose(found, np.array([0.25, 0.5]) / np.hypot(0.25, 0.5), rtol=1e-6)


def test_of_near_views_the_surest_stays() -> None:
    thing = candidate(1)
    thing.add_anchor(anchor(3, 0.5), spacing=8)
    assert frames(thing) == [0]
    thing.add_anchor(anchor(4, 0.95), spacing=8)
    assert frames(thing) == [4]


def test_of_too_many_views_the_least_sure_goes() -> None:
    thing = candidate(1)
    for k, confidence in enumerate((0.7, 0.8, 0.95, 0.85), 1):
        thing.add_anchor(anchor(20 * k, confidence), spacing=8)
    assert len(thing.anchors) == ANCHORS
    assert frames(thing) == [0, 60, 80]


def test_of_views_that_are_as_sure_those_far_apart_stay() -> None:
    thing = candidate(1)
    for frame in (10, 20, 90):
        thing.add_anchor(anchor(frame, 0.9), spacing=8)
    assert frames(thing) == [0, 20, 90]


def test_a_view_that_looks_otherwise_is_not_taken() -> None:
    thing = candidate(1)
    thing.add_anchor(anchor(50, 1.0, look=(0, 1)), spacing=8)
    assert frames(thing) == [0]
    assert thing.likeness(np.array([0.6, 0.8], np.float32)) == pytest.approx(0.6)


def test_taking_over_adds_up_and_keeps_the_surest_views() -> None:
    one, other = candidate(1, first=10), candidate(2, first=4)
    other.anchors = [anchor(12, 0.99), anchor(40, 0.8), anchor(60, 0.7), anchor(80, 0.6)]
    one.merge(other, spacing=8)
    assert (one.first, one.seen, one.confirmed) == (4, 12, 10)
    assert frames(one) == [12, 40, 60]


def test_what_is_not_found_again_is_not_worth_following() -> None:
    good, seldom, once = candidate(1), candidate(2, confirmed=3, seen=30), candidate(3, confirmed=CONFIRMED - 1)
    assert choose_candidates([once, seldom, good], sampled=30, most=9) == (good,)
    short = candidate(4, confirmed=1, seen=1)
    assert choose_candidates([short], sampled=2, most=9) == (short,)


def test_the_largest_stay_and_are_ordered_by_first_appearance() -> None:
    late, small, early = candidate(1, first=9, area=3.0), candidate(2, area=0.1), candidate(3, area=2.0)
    assert choose_candidates([late, small, early], sampled=30, most=2) == (early, late)
    assert choose_candidates([late, small, early], sampled=30, most=3) == (early, small, late)


def test_two_tracks_that_cover_the_same_most_of_the_time_are_one() -> None:
    assert same_thing([0.9, 0.8, 0.1])
    assert not same_thing([0.9, 0.2, 0.1])
    assert not same_thing([0.9]), "one frame is chance"
    assert not same_thing([])
