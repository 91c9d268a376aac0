"""Steering of single frames and of their neighbours, on maps that are drawn by hand."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from covos.core.types import Box, FrameResult
from covos.engines.steer import REACH, keep_in_regions, steer_results
from covos.engines.steering_rule import SteeringRule, in_boxes

SIZE = (60, 100)
DROP = SteeringRule(dropped=frozenset({1}), kept=frozenset({2}))
KEEP = SteeringRule(kept=frozenset({1}), dropped=frozenset({2}), only_kept=True)
Rows = tuple[int, int, int, int]
MakeResult = Callable[..., FrameResult]


def filled(*rows: Rows) -> np.ndarray:
    """A mask of rectangles: left, top, right, bottom."""
    mask = np.zeros(SIZE, bool)
    for left, top, right, bottom in rows:
        mask[top:bottom, left:right] = True
    return mask


@pytest.fixture
def found(result: MakeResult) -> Callable[..., FrameResult]:
    """A subject of rectangles, with a soft border one pixel wide."""

    def make(*rows: Rows, index: int = 0) -> FrameResult:
        soft = filled(*((left - 1, top - 1, right + 1, bottom + 1) for left, top, right, bottom in rows))
        probability = np.where(filled(*rows), 0.9, np.where(soft, 0.3, 0.0)).astype(np.float32)
        return replace(result(index, size=SIZE), probability=probability)

    return make


@pytest.fixture
def followed(result: MakeResult) -> Callable[..., FrameResult]:
    """Objects by id, each a rectangle."""

    def make(objects: dict[int, Rows], *, index: int = 0) -> FrameResult:
        labels = np.zeros(SIZE, np.uint8)
        for identity, rows in objects.items():
            labels[filled(rows)] = identity
        return replace(result(index, size=SIZE), labels=labels)

    return make


def steer(found: FrameResult, followed: FrameResult, rule: SteeringRule) -> FrameResult:
    (steered,) = steer_results([(found, followed)], rule=rule)
    return steered


Make = Callable[..., FrameResult]


def test_a_part_goes_as_a_whole_with_its_soft_border(found: Make, followed: Make) -> None:
    one, other = (10, 10, 30, 40), (60, 10, 80, 40)
    steered = steer(found(one, other), followed({1: (11, 12, 29, 38)}), DROP)
    np.testing.assert_array_equal(steered.labels, filled(other))
    assert not steered.probability[:, :40].any()
    np.testing.assert_array_equal(steered.probability[:, 50:], found(other).probability[:, 50:])
    assert 0.8 < steered.confidence < 1


def test_things_that_touch_are_cut_where_following_parts_them(found: Make, followed: Make) -> None:
    steered = steer(found((10, 10, 80, 40)), followed({1: (11, 11, 41, 39), 2: (43, 11, 79, 39)}), DROP)
    np.testing.assert_array_equal(steered.labels, filled((42, 10, 80, 40)))


def test_a_thing_that_is_not_followed_stays_where_it_touches(found: Make, followed: Make) -> None:
    steered = steer(found((10, 10, 80, 40)), followed({1: (11, 11, 41, 39)}), DROP)
    assert (steered.labels[:, 42:] > 0).sum() == filled((42, 10, 80, 40)).sum()
    assert not steered.labels[:, :41].any()


def test_a_small_thing_is_cut_out_of_a_large_one(found: Make, followed: Make) -> None:
    steered = steer(found((10, 10, 80, 50)), followed({1: (70, 40, 80, 50), 2: (10, 10, 70, 50)}), DROP)
    assert not steered.labels[40:, 70:].any()
    assert steered.labels[10:38, 10:80].all()


def test_of_the_kept_alone_all_else_goes(found: Make, followed: Make) -> None:
    one, other, third = (10, 10, 30, 40), (60, 10, 80, 40), (90, 50, 98, 58)
    steered = steer(found(one, other, third), followed({1: (11, 12, 29, 38), 2: other}), KEEP)
    np.testing.assert_array_equal(steered.labels, filled(one))
    assert not steered.probability[:, 50:].any()
    gone = steer(found(other), followed({2: other}), KEEP)
    assert not gone.probability.any()


@pytest.mark.parametrize("rule", [DROP, KEEP])
def test_a_part_that_following_loses_goes_the_way_of_its_neighbours(
    found: Make, followed: Make, rule: SteeringRule
) -> None:
    count, seen = 3 * REACH, range(REACH + 1, 2 * REACH)
    one, other = (10, 10, 30, 40), (60, 10, 80, 40)
    pairs = [
        (
            found((one[0] + index, 10, one[2] + index, 40), other, index=index),
            followed({1: (one[0] + index, 10, one[2] + index, 40), 2: other} if index in seen else {2: other}),
        )
        for index in range(count)
    ]
    steered = list(steer_results(pairs, rule=rule))
    assert [each.frame.index for each in steered] == list(range(count))
    kept = [bool(each.labels[:, :50].any()) for each in steered]
    near = [seen.start - REACH <= index < seen.stop + REACH for index in range(count)]
    assert kept == (near if rule is KEEP else [not each for each in near])
    assert all(each.labels[:, 60:].any() == (rule is DROP) for each in steered)


def test_specks_take_no_memory_of_their_own(found: Make, followed: Make) -> None:
    def peak(*specks: Rows) -> int:
        pairs = [(found(*specks, index=index), followed({1: (2, 2, 6, 6)}, index=index)) for index in range(REACH)]
        tracemalloc.start()
        try:
            assert len(list(steer_results(pairs, rule=DROP))) == REACH
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    specks = [(left, top, left + 2, top + 2) for left in range(10, 98, 4) for top in range(10, 58, 4)]
    assert peak(*specks) < 1.5 * peak(specks[0])


def test_fixed_regions_cut_by_the_pixel(found: Make) -> None:
    rule = SteeringRule(within=(Box(x0=0, y0=0, x1=50, y1=60),), exclude=(Box(x0=0, y0=20, x1=100, y1=60),))
    steered = keep_in_regions(found((10, 10, 80, 40)), rule=rule)
    np.testing.assert_array_equal(steered.labels, filled((10, 10, 50, 20)))
    assert not steered.probability[20:].any()


def test_a_box_holds_the_pixels_that_it_says() -> None:
    inside = in_boxes((Box(x0=1, y0=0.5, x1=3, y1=2.5),), size=(4, 4))
    assert [tuple(map(int, place)) for place in np.argwhere(inside)] == [(1, 1), (1, 2), (2, 1), (2, 2)]
