"""What all refinements ask of their input."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def check_pair(image: NDArray[Any], soft: NDArray[Any]) -> None:
    """Refuse a picture and a soft mask that are not a pair.

    Args:
        image: H x W x 3 uint8.
        soft: H x W float32, finite, in [0, 1].

    Raises:
        ValueError: A shape, a type or a value is not that.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"the image must be H x W x 3 uint8, not {_text(image)}")
    if soft.ndim != 2 or soft.dtype != np.float32:
        raise ValueError(f"the soft mask must be H x W float32, not {_text(soft)}")
    if image.shape[:2] != soft.shape:
        raise ValueError(f"the image is {image.shape[:2]}, the soft mask {soft.shape}")
    if not soft.size:
        raise ValueError(f"the image and the soft mask are empty: {soft.shape}")
    lowest, highest = soft.min(), soft.max()
    # Written so that NaN, which compares as False, is refused too.
    if not (lowest >= 0 and highest <= 1):
        raise ValueError(f"the soft mask must be in [0, 1], not in [{lowest}, {highest}]")


def _text(array: NDArray[Any]) -> str:
    return f"{' x '.join(str(side) for side in array.shape)} {array.dtype}"
