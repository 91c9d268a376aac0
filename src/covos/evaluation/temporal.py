"""Flicker: how much of a mask comes or goes for a single frame. Needs no ground truth and no optical flow."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.evaluation.measures import BinaryArray, as_binary
from covos.evaluation.scored_mask import Crop, ScoredMask

_NOTHING = Crop(pixels=np.zeros((0, 0), np.uint8), top=0, left=0)


class Flicker:
    """Measures the flicker of one object, whose masks it takes one by one; it keeps the last two.

    For three consecutive masks a, b, c the flicker of b is the part of the pixels covered by any of them that
    differ in b from both a and c:

        |(a xor b) and (b xor c)| / |a or b or c|        (0 where all three are empty)

    It is 0 for what stands still or moves steadily, except for parts that are narrower, along their path, than
    their way in two frames. A mask that is missing for one frame, or there for one frame, gives 1. Changes that
    last two frames or more do not count: they may be the object's own.

    The definition is this project's. Measures in the literature compare a mask with the one before it after
    warping by optical flow (for example Varghese et al., "Unsupervised Temporal Consistency Metric for Video
    Segmentation in Highly-Automated Driving", CVPR Workshops 2020), which needs the pictures and inherits the
    errors of the flow; the T of DAVIS 2016 counts steady deformation too.
    """

    def __init__(self, *, empty: int = 0) -> None:
        """Start, as if ``empty`` masks without a pixel had been taken already."""
        self.values = array("d", [0.0] * max(empty - 2, 0))
        self._last = [_NOTHING] * min(empty, 2)

    def add(self, region: Crop) -> None:
        """Take the next mask; from the third on, this gives the flicker of the one before it."""
        if len(self._last) == 2:
            before, now = self._last
            self.values.append(_flicker(before, now, region))
            del self._last[0]
        self._last.append(region)

    def mean(self) -> float | None:
        """Return the mean flicker; None with fewer than three masks."""
        return sum(self.values) / len(self.values) if self.values else None


def flicker(masks: Iterable[BinaryArray]) -> NDArray[np.float64]:
    """Measure the flicker of each mask but the first and the last; see :class:`Flicker`.

    Args:
        masks: T masks of one object, of consecutive frames: H x W bool or uint8, non-zero is object. They are
            taken one at a time.

    Returns:
        T - 2 values in [0, 1]; none if there are fewer than three masks.

    Raises:
        UsageError: A mask is not two-dimensional, or not bool or uint8.
    """
    meter = Flicker()
    for mask in masks:
        meter.add(ScoredMask(as_binary(mask), radius=0).region)
    return np.array(meter.values, dtype=np.float64)


def _flicker(a: Crop, b: Crop, c: Crop) -> float:
    shown = [mask for mask in (a, b, c) if mask.pixels.size]
    if not shown:
        return 0.0
    top, left = min(mask.top for mask in shown), min(mask.left for mask in shown)
    bottom = max(mask.top + mask.pixels.shape[0] for mask in shown)
    right = max(mask.left + mask.pixels.shape[1] for mask in shown)
    before, now, after = (mask.on_canvas((bottom - top, right - left), top=top, left=left) for mask in (a, b, c))
    return cv2.countNonZero((before ^ now) & (now ^ after)) / cv2.countNonZero(before | now | after)
