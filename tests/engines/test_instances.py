from __future__ import annotations

import numpy as np
import pytest

from covos.engines.candidates import appearance_of, overlap, share_inside, split

SIZE = (40, 64)


def box(top: int, left: int, height: int = 10, width: int = 10) -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[top : top + height, left : left + width] = True
    return mask


def test_separate_parts_are_told_apart_the_largest_first() -> None:
    small, large = box(2, 2, 6, 6), box(20, 30)
    parts = split(small | large, least=4, gap=2)
    assert len(parts) == 2
    np.testing.assert_array_equal(parts[0], large)
    np.testing.assert_array_equal(parts[1], small)


def test_a_thing_behind_a_post_stays_one() -> None:
    left, right = box(5, 10), box(5, 22)
    assert len(split(left | right, least=4, gap=1)) == 2
    (whole,) = split(left | right, least=4, gap=3)
    np.testing.assert_array_equal(whole, left | right)


def test_specks_and_nothing_are_no_things() -> None:
    assert split(box(3, 3, 2, 2), least=5, gap=1) == ()
    assert split(np.zeros(SIZE, bool), least=1, gap=1) == ()


def test_the_look_is_the_mean_key_of_what_is_covered() -> None:
    keys = np.zeros((10 * 16, 3), np.float32)
    keys[:, 0] = 1
    keys.reshape(10, 16, 3)[:, 8:] = (0, 1, 0)
    assert appearance_of(keys, box(0, 0, 40, 20), cells=(10, 16)) == pytest.approx([1, 0, 0])
    half = appearance_of(keys, box(0, 24, 40, 16), cells=(10, 16))
    assert half == pytest.approx([2**-0.5, 2**-0.5, 0])


def test_overlaps() -> None:
    a, b = box(0, 0), box(0, 5)
    assert overlap(a, b) == pytest.approx(50 / 150)
    assert share_inside(a, b) == pytest.approx(0.5)
    nothing = np.zeros(SIZE, bool)
    assert overlap(nothing, nothing) == share_inside(nothing, a) == 0
