from pathlib import Path

import numpy as np
import pytest

from covos.core.errors import AnnotationError
from covos.masks import fit_labels

LABELS = np.array([[1, 2, 2], [0, 7, 255]], np.uint8)


def test_a_map_that_fits_is_given_back() -> None:
    assert fit_labels(LABELS, size=(2, 3), path=Path("m.png"), resize=True) is LABELS


def test_other_sizes_are_an_error_with_both_sizes() -> None:
    with pytest.raises(AnnotationError) as caught:
        fit_labels(LABELS, size=(4, 6), path=Path("m.png"))
    assert "m.png" in caught.value.what
    assert "3x2" in caught.value.why
    assert "6x4" in caught.value.why
    assert "rotated" not in caught.value.why


def test_swapped_sides_hint_at_rotation() -> None:
    with pytest.raises(AnnotationError, match="rotated"):
        fit_labels(LABELS, size=(3, 2), path=Path("m.png"))


@pytest.mark.parametrize("size", [(4, 6), (3, 2), (48, 64), (1, 1)])
def test_resizing_mixes_no_ids(size: tuple[int, int]) -> None:
    resized = fit_labels(LABELS, size=size, path=Path("m.png"), resize=True)
    assert resized.shape == size
    assert resized.dtype == np.uint8
    assert set(np.unique(resized)) <= set(np.unique(LABELS))


def test_doubling_repeats_every_pixel() -> None:
    resized = fit_labels(LABELS, size=(4, 6), path=Path("m.png"), resize=True)
    np.testing.assert_array_equal(resized, LABELS.repeat(2, 0).repeat(2, 1))
