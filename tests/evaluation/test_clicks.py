from __future__ import annotations

import numpy as np

from covos.core.types import MaskArray, Point
from covos.evaluation.clicks import largest_region, middle_of, next_click


def mask(*boxes: tuple[int, int, int, int]) -> MaskArray:
    """Of 40 x 60 pixels; boxes are rows and columns, ends excluded."""
    made = np.zeros((40, 60), np.bool_)
    for top, bottom, left, right in boxes:
        made[top:bottom, left:right] = True
    return made


def test_the_first_click_is_in_the_middle_of_the_largest_piece() -> None:
    truth = mask((5, 16, 5, 16), (20, 35, 30, 45))
    assert next_click(None, truth) == Point(x=37, y=27)


def test_the_next_click_is_where_most_is_wrong() -> None:
    truth = mask((10, 31, 10, 31))
    missing = next_click(mask((10, 31, 10, 20)), truth)
    assert missing is not None
    assert missing.positive
    assert truth[int(missing.y), int(missing.x)]
    assert 20 <= missing.x < 31
    excess = next_click(mask((10, 31, 10, 31), (10, 31, 35, 56)), truth)
    assert excess is not None
    assert not excess.positive
    assert (excess.x, excess.y) == (45, 20)


def test_the_largest_region_counts_not_the_sum_of_the_small_ones() -> None:
    truth = mask((0, 12, 0, 12))
    found = truth | mask((20, 26, 0, 6), (20, 26, 10, 16), (20, 26, 20, 26), (20, 26, 30, 36), (30, 36, 0, 6))
    found[0:12, 5:12] = False
    point = next_click(found, truth)
    assert point is not None
    assert point.positive


def test_void_is_never_wrong() -> None:
    truth, void = mask((10, 20, 10, 20)), mask((0, 40, 0, 60))
    assert next_click(None, truth, void=void) is None
    half = mask((0, 40, 0, 15))
    point = next_click(None, truth, void=half)
    assert point is not None
    assert point.x >= 15


def test_a_right_mask_needs_no_click() -> None:
    truth = mask((10, 20, 10, 20))
    assert next_click(truth, truth) is None


def test_what_touches_the_border_is_clicked_away_from_it() -> None:
    row, column = middle_of(mask((0, 40, 0, 21)))
    assert column == 10
    assert 10 <= row < 30


def test_the_largest_region_of_nothing_is_nothing() -> None:
    assert not largest_region(mask()).any()
