"""Scale masks and label maps."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def to_size(array: NDArray[Any], size: tuple[int, int], *, interpolation: int = cv2.INTER_NEAREST_EXACT) -> Any:
    """Scale an array to (height, width); a mask or a label map by its nearest values."""
    if array.shape[:2] == size:
        return array
    plain = array.view(np.uint8) if array.dtype == np.bool_ else array
    return cv2.resize(plain, size[::-1], interpolation=interpolation).view(array.dtype)
