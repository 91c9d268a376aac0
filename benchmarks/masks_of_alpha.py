"""Masks that are made of a measured alpha: for `matte.py`."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.types import ProbabilityArray


def rough_mask(truth: ProbabilityArray) -> ProbabilityArray:
    """Return a mask as a network finds it: without strands, and of coarse cells."""
    opened = cv2.morphologyEx((truth > 0.5).astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    height, width = truth.shape
    small = cv2.resize(opened.astype(np.float32), (width // 4, height // 4), interpolation=cv2.INTER_AREA)
    return blurred(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), 2.5)


def blurred(mask: NDArray[Any], deviation: float) -> ProbabilityArray:
    """Blur a mask by a Gaussian."""
    return np.clip(cv2.GaussianBlur(mask.astype(np.float32), (0, 0), deviation), 0, 1)
