"""Contour accuracy F: how closely the outlines of two masks follow each other, in one frame.

The formula is that of Perazzi et al., "A Benchmark Dataset and Evaluation Methodology for Video Object
Segmentation", CVPR 2016, section 4.1. Which pixels are contour, and what empty masks score, is left open there;
both follow the DAVIS toolkits, so that the numbers are theirs.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from covos.evaluation.binary import BinaryArray, as_binary, same_size
from covos.evaluation.object_mask import ObjectMask, edges

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DEFAULT_THRESHOLD = 0.008
"""Tolerance as a fraction of the image diagonal: the value of every DAVIS toolkit."""


def boundary_map(mask: BinaryArray) -> NDArray[np.uint8]:
    """Contour of a mask: pixels that differ from their right, lower or lower-right neighbour.

    The contour sits half a pixel to the upper left of the mask's edge, and the border of the image gives none
    (there is no neighbour to differ from): a mask that fills the frame has no contour.

    Args:
        mask: H x W bool or uint8; non-zero is object.

    Returns:
        H x W uint8, 1 on the contour and 0 elsewhere.

    Raises:
        UsageError: The array is not two-dimensional, or not bool or uint8.
    """
    return edges(as_binary(mask))


def tolerance_radius(height: int, width: int, *, threshold: float = DEFAULT_THRESHOLD) -> int:
    """Tolerance in pixels: ``threshold`` times the diagonal, rounded up; from 1 up, ``threshold`` is pixels."""
    return math.ceil(threshold if threshold >= 1 else threshold * math.hypot(height, width))


def boundary_f(
    prediction: BinaryArray,
    truth: BinaryArray,
    *,
    void: BinaryArray | None = None,
    threshold: float = DEFAULT_THRESHOLD,
) -> float:
    """Contour accuracy F of two masks: the harmonic mean of contour precision and recall.

    A contour pixel counts as found if the other contour passes within the tolerance (Euclidean).

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
    return contour_f(ObjectMask(p, radius=radius), ObjectMask(g, radius=radius))


def contour_f(prediction: ObjectMask, truth: ObjectMask) -> float:
    """F of two masks of one image, taken with one tolerance; see :func:`boundary_f`."""
    if not prediction.contour_length or not truth.contour_length:
        # One empty: precision 1 and recall 0, or the reverse. Both empty: nothing to find, nothing missed.
        return float(prediction.contour_length == truth.contour_length)
    precision = prediction.contour.common(truth.near_contour) / prediction.contour_length
    recall = truth.contour.common(prediction.near_contour) / truth.contour_length
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
