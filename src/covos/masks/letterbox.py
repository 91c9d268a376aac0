"""Fit pictures and masks of one size into another, whole and in their own aspect, between bars."""

from __future__ import annotations

from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)


def letterbox(array: NDArray[Scalar], size: tuple[int, int], *, smooth: bool) -> NDArray[Scalar]:
    """Scale an H x W, or H x W x C, array into another size, between bars of zeros.

    Args:
        array: Of any type that OpenCV resizes.
        size: (height, width) of the result.
        smooth: True for pictures and probabilities; False takes the nearest value, as ids need it.
    """
    height, width = array.shape[:2]
    if (height, width) == size:
        return array
    scale = min(size[0] / height, size[1] / width)
    rows, columns = max(1, min(size[0], round(height * scale))), max(1, min(size[1], round(width * scale)))
    way = cv2.INTER_NEAREST_EXACT if not smooth else cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    source: Any = array
    scaled = cv2.resize(source, (columns, rows), interpolation=way)
    fitted = np.zeros((*size, *array.shape[2:]), array.dtype)
    top, left = (size[0] - rows) // 2, (size[1] - columns) // 2
    fitted[top : top + rows, left : left + columns] = scaled
    return fitted
