"""The reach of a click that corrects a mask."""

from __future__ import annotations

import numpy as np
import pytest

from covos.core.types import MaskArray, Point
from covos.engines.click_reach import LEAST, within_reach
from covos.engines.prompt import corrected, given_up

SIZE = (100, 160)


def box(top: int, left: int, height: int, width: int) -> MaskArray:
    made = np.zeros(SIZE, np.bool_)
    made[top : top + height, left : left + width] = True
    return made


def click(row: int, column: int, *, positive: bool) -> Point:
    return Point(x=column, y=row, positive=positive)


STRAP, GIRL = box(40, 10, 6, 70), box(20, 80, 60, 50)
FREE = box(40, 10, 6, 60)
"""The strap, but for where it touches the girl."""


@pytest.mark.parametrize("positive", [True, False], ids=["missing", "excess"])
def test_a_long_thin_part_changes_in_its_whole_length_and_what_is_thick_behind_it_stays(positive: bool) -> None:
    """The answer is of the girl, too; the strap was meant, and the mask had another part of it already."""
    beside = box(46, 10, 10, 20) if positive else np.zeros(SIZE, np.bool_)
    answer = STRAP | GIRL | beside
    previous = beside if positive else answer
    mask = answer if positive else np.zeros(SIZE, np.bool_)
    found = within_reach(mask, previous, click(43, 20, positive=positive))
    assert found[FREE].all()
    assert (found & GIRL).sum() < 0.05 * GIRL.sum()


def test_a_click_deep_inside_a_thing_takes_it_whole() -> None:
    answer = np.zeros(SIZE, np.bool_)
    found = within_reach(answer, STRAP | GIRL, click(50, 105, positive=False))
    np.testing.assert_array_equal(found, STRAP | GIRL)


def test_a_thing_that_is_missing_far_from_the_mask_comes_whole() -> None:
    found = within_reach(GIRL, box(40, 5, 10, 10), click(50, 105, positive=True))
    np.testing.assert_array_equal(found, GIRL)


def test_a_click_at_the_edge_of_a_thick_change_changes_what_is_near() -> None:
    depth = 8
    found = within_reach(np.zeros(SIZE, np.bool_), GIRL, click(50, 80 + depth - 1, positive=False))
    assert found[50, 80 : 80 + depth].all()
    assert 0 < found.sum() < 0.4 * GIRL.sum()


def test_no_click_is_finer_than_a_share_of_the_frame() -> None:
    """A click on the very edge of a thing still takes a thin part off it."""
    thin = box(20, 78, 60, 2)
    found = within_reach(GIRL, GIRL | thin, click(50, 78, positive=False))
    np.testing.assert_array_equal(found, thin)
    assert LEAST * SIZE[0] >= 1


def test_nothing_changes_if_the_answer_contradicts_the_click() -> None:
    assert not within_reach(GIRL, GIRL, click(50, 105, positive=False)).any()
    assert not within_reach(STRAP, STRAP, click(50, 105, positive=True)).any()
    left = corrected(GIRL, GIRL, points=[click(50, 105, positive=False)])
    assert not left[50, 105], "the point itself is obeyed"


def test_another_object_gives_up_what_a_negative_click_would_take_from_it() -> None:
    other = STRAP | GIRL
    on = click(43, 20, positive=True)
    taken = given_up(other, other, points=[on, click(50, 105, positive=False)])
    np.testing.assert_array_equal(taken, within_reach(~other, other, click(43, 20, positive=False)))
    assert taken[FREE].all()
    assert not given_up(other, other, points=[click(5, 5, positive=True)]).any(), "it lies beside the other object"
