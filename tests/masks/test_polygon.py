"""Polygons cover the pixels that COCO's own code gives them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pycocotools import mask as official

from covos.core.errors import AnnotationError
from covos.core.limits import Limits
from covos.masks import decode
from covos.masks.polygon import polygon_to_rle

corner = st.one_of(
    st.floats(-20, 60), st.integers(-5, 45).map(float), st.floats(0, 40).map(lambda value: round(value, 1))
)


@pytest.mark.filterwarnings("ignore:__array__ implementation")
@given(st.lists(st.tuples(corner, corner), min_size=3, max_size=12), st.tuples(st.integers(1, 40), st.integers(1, 50)))
def test_as_the_official_code(corners: list[tuple[float, float]], size: tuple[int, int]) -> None:
    flat = [value for pair in corners for value in pair]
    fine = (5 * np.array(corners) + 0.5).astype(int).tolist()
    assume(all(one != other for one, other in pairwise([*fine, fine[0]])))  # there the official code divides by zero
    (theirs,) = official.frPyObjects([flat], *size)
    np.testing.assert_array_equal(decode(polygon_to_rle(flat, size=size)), official.decode(theirs).astype(bool))


@pytest.mark.parametrize(
    "corners",
    [[], [1, 2, 3, 4], [1] * 7, [1, 2, 3, 4, 5, "6"], [1, 2, 3, 4, 5, True], [0.0] * 5 + [float("nan")], [1e9] * 6],
)
def test_what_is_no_polygon(corners: list[object]) -> None:
    with pytest.raises(AnnotationError, match="polygon"):
        polygon_to_rle(corners, size=(9, 9))


def test_an_outline_of_many_steps(limited) -> None:
    assert isinstance(limited(values=1000), Limits)
    with pytest.raises(AnnotationError, match="the limit values="):
        polygon_to_rle([0, 0, 90, 90] * 100, size=(100, 100))


@pytest.mark.parametrize("corner", [4 * 64 + 1001, -(4 * 64 + 1001)])
def test_a_corner_far_outside_is_refused(corner: float) -> None:
    near = 1000 if corner > 0 else -1000
    assert polygon_to_rle([0, 0, near, 0, 0, 9], size=(48, 64)).size == (48, 64)
    with pytest.raises(AnnotationError, match="far outside the picture, 64x48"):
        polygon_to_rle([0, 0, corner, 0, 0, 9], size=(48, 64))
