from __future__ import annotations

import numpy as np
import pytest

from covos.masks import letterbox

IDS = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.uint8)


def test_an_array_of_the_size_is_given_back() -> None:
    assert letterbox(IDS, (2, 4), smooth=False) is IDS


@pytest.mark.parametrize(
    ("size", "place"), [((8, 8), (slice(2, 6), slice(0, 8))), ((4, 14), (slice(0, 4), slice(3, 11)))]
)
def test_it_lies_whole_in_the_middle_between_bars_of_zeros(size: tuple[int, int], place: tuple[slice, slice]) -> None:
    fitted = letterbox(IDS, size, smooth=False)
    assert (fitted.shape, fitted.dtype) == (size, np.uint8)
    np.testing.assert_array_equal(fitted[place], IDS.repeat(2, 0).repeat(2, 1))
    fitted[place] = 0
    assert not fitted.any()


def test_ids_stay_ids_and_pictures_are_averaged() -> None:
    lines = np.zeros((8, 16), np.uint8)
    lines[:, ::4] = 100
    assert set(np.unique(letterbox(lines, (2, 4), smooth=False))) <= {0, 100}
    assert (letterbox(lines, (2, 4), smooth=True) == 25).all()
    wide = letterbox(np.array([[0.0, 1.0]], np.float32), (2, 4), smooth=True)
    assert 0 < wide[0, 1] < wide[0, 2] < 1, "enlarged, it goes over smoothly"


def test_pictures_keep_their_channels_and_the_thinnest_keeps_a_row() -> None:
    assert letterbox(np.full((2, 4, 3), 9, np.uint8), (8, 8), smooth=True)[4, 4].tolist() == [9, 9, 9]
    thin = letterbox(np.full((1, 90), 7, np.uint8), (5, 30), smooth=False)
    assert np.flatnonzero(thin.any(1)).tolist() == [2]
    tall = letterbox(np.full((90, 1), 7, np.uint8), (30, 5), smooth=False)
    assert np.flatnonzero(tall.any(0)).tolist() == [2]
    assert tall[:, 2].all()
