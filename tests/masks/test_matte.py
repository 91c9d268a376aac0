"""A picture and its soft mask fit one another, or are refused."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from covos.masks.matte import check_pair

IMAGE = np.zeros((4, 6, 3), np.uint8)
SOFT = np.zeros((4, 6), np.float32)


def test_what_fits_is_taken() -> None:
    check_pair(IMAGE, SOFT)
    check_pair(IMAGE, SOFT + 1)


@pytest.mark.parametrize(
    ("image", "soft", "said"),
    [
        (IMAGE[..., 0], SOFT, "H x W x 3 uint8, not 4 x 6 uint8"),
        (IMAGE.astype(np.float32), SOFT, "not 4 x 6 x 3 float32"),
        (np.zeros((4, 6, 4), np.uint8), SOFT, "not 4 x 6 x 4 uint8"),
        (IMAGE, SOFT.astype(np.float64), "not 4 x 6 float64"),
        (IMAGE, SOFT[None], "not 1 x 4 x 6 float32"),
        (IMAGE, SOFT.T.copy(), r"\(4, 6\), the soft mask \(6, 4\)"),
        (IMAGE[:0], SOFT[:0], "empty"),
        (IMAGE, SOFT - 0.1, r"in \[0, 1\]"),
        (IMAGE, SOFT + 1.1, r"in \[0, 1\]"),
        (IMAGE, np.where(np.eye(4, 6), np.nan, SOFT).astype(np.float32), r"in \[0, 1\]"),
    ],
)
def test_what_does_not_fit_is_refused(image: NDArray[np.generic], soft: NDArray[np.generic], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_pair(image, soft)
