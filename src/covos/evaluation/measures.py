"""J and F of two masks of one object in one frame, and the flicker of consecutive masks.

The formulas of J and F are those of Perazzi et al., "A Benchmark Dataset and Evaluation Methodology for Video Object
Segmentation", CVPR 2016, section 4.1. They leave open which pixels are contour, and what empty masks score; both
follow the DAVIS toolkits, so that the numbers are theirs.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.errors import UsageError
from covos.evaluation.scored_mask import Crop, ScoredMask, edges

DEFAULT_THRESHOLD = 0.008
"""Tolerance as a fraction of the image diagonal: the value of every DAVIS toolkit."""

BinaryArray: TypeAlias = NDArray[np.bool_] | NDArray[np.uint8]
"""H x W, bool or uint8; anything but 0 is foreground."""


def as_binary(mask: BinaryArray) -> NDArray[np.uint8]:
    """Return the mask as H x W uint8 of 0 and 1; a bool array is viewed, not copied."""
    if not isinstance(mask, np.ndarray):
        raise UsageError(
            f"a {type(mask).__name__} cannot be scored as a mask",
            why="measures take NumPy arrays, H x W",
            fix="make an array of it first: numpy.asarray(mask, bool)",
        )
    if mask.ndim != 2:
        raise UsageError(
            f"a mask of shape {mask.shape} cannot be scored",
            why="measures take one object in one frame: an H x W array",
            fix="pass one channel of one frame, for example labels == object_id",
        )
    if mask.dtype == np.bool_:
        binary: NDArray[np.uint8] = mask.view(np.uint8)
        return binary
    if mask.dtype == np.uint8:
        objects: NDArray[np.uint8] = (mask != 0).view(np.uint8)
        return objects
    raise UsageError(
        f"a mask of type {mask.dtype} cannot be scored",
        why="measures take binary masks: bool, or uint8 where non-zero is object",
        fix="threshold it first, for example probability > 0.5",
    )


def same_size(
    prediction: BinaryArray, truth: BinaryArray, *, void: BinaryArray | None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return both masks as H x W uint8 of 0 and 1, cleared where ``void`` is set."""
    p, g = as_binary(prediction), as_binary(truth)
    v = None if void is None else as_binary(void)
    if p.shape != g.shape or (v is not None and v.shape != g.shape):
        sizes = f"prediction {p.shape}, ground truth {g.shape}" + ("" if v is None else f", void {v.shape}")
        raise UsageError(
            f"masks of different sizes cannot be compared: {sizes}",
            why="pixels are compared one by one, and resizing a mask changes its score",
            fix="predict at the size of the ground truth",
        )
    if v is None:
        return p, g
    valid = v ^ np.uint8(1)
    return p & valid, g & valid


def jaccard(prediction: BinaryArray, truth: BinaryArray, *, void: BinaryArray | None = None) -> float:
    """Return region similarity J of two masks: intersection over union (Perazzi et al., CVPR 2016, section 4.1).

    Args:
        prediction: H x W bool or uint8; non-zero is object.
        truth: The same, same size.
        void: The same; its non-zero pixels are left out of both sums.

    Returns:
        J in [0, 1]; 1 where the union is empty.

    Raises:
        UsageError: The arrays are not two-dimensional, not of one size, or not bool or uint8.
    """
    p, g = same_size(prediction, truth, void=void)
    return region_j(ScoredMask(p, radius=0), ScoredMask(g, radius=0))


def region_j(prediction: ScoredMask, truth: ScoredMask) -> float:
    """Return J of two masks of one image; see :func:`jaccard`."""
    both = prediction.region.common(truth.region)
    union = prediction.area + truth.area - both
    return both / union if union else 1.0


def boundary_map(mask: BinaryArray) -> NDArray[np.uint8]:
    """Return the contour of a mask: pixels that differ from their right, lower or lower-right neighbour.

    The contour sits half a pixel to the upper left of the mask's edge, and the border of the image gives none (there is
    no neighbour to differ from). A mask that fills the frame has no contour.

    Args:
        mask: H x W bool or uint8; non-zero is object.

    Returns:
        H x W uint8, 1 on the contour and 0 elsewhere.

    Raises:
        UsageError: The array is not two-dimensional, or not bool or uint8.
    """
    return edges(as_binary(mask))


def tolerance_radius(height: int, width: int, *, threshold: float = DEFAULT_THRESHOLD) -> int:
    """Return the tolerance in pixels: ``threshold`` times the diagonal, rounded up; from 1 up, it is pixels."""
    return math.ceil(threshold if threshold >= 1 else threshold * math.hypot(height, width))


def boundary_f(
    prediction: BinaryArray,
    truth: BinaryArray,
    *,
    void: BinaryArray | None = None,
    threshold: float = DEFAULT_THRESHOLD,
) -> float:
    """Return contour accuracy F of two masks: the harmonic mean of contour precision and recall.

    See Perazzi et al., CVPR 2016, section 4.1. A contour pixel counts as found if the other contour passes within the
    tolerance (Euclidean).

    Args:
        prediction: H x W bool or uint8; non-zero is object.
        truth: The same, same size.
        void: The same; both masks are cleared on its non-zero pixels before contours are taken.
        threshold: Tolerance as a fraction of the image diagonal, rounded up to whole pixels; from 1 up, pixels.

    Returns:
        F in [0, 1]. 1 where neither mask has a contour, 0 where only one has.

    Raises:
        UsageError: The arrays are not two-dimensional, not of one size, or not bool or uint8.
    """
    p, g = same_size(prediction, truth, void=void)
    radius = tolerance_radius(g.shape[0], g.shape[1], threshold=threshold)
    return contour_f(ScoredMask(p, radius=radius), ScoredMask(g, radius=radius))


def contour_f(prediction: ScoredMask, truth: ScoredMask) -> float:
    """Return F of two masks of one image, taken with one tolerance; see :func:`boundary_f`."""
    if not prediction.contour_length or not truth.contour_length:
        # One empty: precision 1 and recall 0, or the reverse. Both empty: nothing to find, nothing missed.
        return float(prediction.contour_length == truth.contour_length)
    precision = prediction.contour.common(truth.near_contour) / prediction.contour_length
    recall = truth.contour.common(prediction.near_contour) / truth.contour_length
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


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
        self._last = [Crop(pixels=np.zeros((0, 0), np.uint8), top=0, left=0)] * min(empty, 2)

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
