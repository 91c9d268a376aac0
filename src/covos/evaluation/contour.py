"""Contour accuracy F: how closely the outlines of two masks follow each other, in one frame.

The formula is that of Perazzi et al., "A Benchmark Dataset and Evaluation Methodology for Video Object
Segmentation", CVPR 2016, section 4.1. Which pixels are contour, and what empty masks score, is left open there;
both follow the DAVIS toolkits, so that the numbers are theirs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.evaluation.binary import BinaryArray, as_binary, same_size

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
    return _edges(as_binary(mask))


def tolerance_radius(height: int, width: int, *, threshold: float = DEFAULT_THRESHOLD) -> int:
    """Tolerance in pixels: ``threshold`` times the diagonal, rounded up; from 1 up, ``threshold`` is pixels."""
    return math.ceil(threshold if threshold >= 1 else threshold * math.hypot(height, width))


@cache
def disk(radius: int) -> NDArray[np.uint8]:
    """Structuring element: the (2r + 1) x (2r + 1) pixels with x² + y² <= r², as read-only uint8 of 0 and 1."""
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    element: NDArray[np.uint8] = (x * x + y * y <= radius * radius).astype(np.uint8)
    element.setflags(write=False)
    return element


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
    return contour_f(Contour.of(p, radius=radius), Contour.of(g, radius=radius))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contour:
    """Outline of one mask, and the pixels within the tolerance of it, kept only where they are.

    An object is compared with many proposals: its outline and the dilation of it, which are most of the cost of
    F, are then paid once. Both arrays are crops, which cannot change a count: outside them there is only 0.

    Attributes:
        count: Contour pixels.
        top: Row of the image at which ``edge`` and ``reach`` start.
        left: Column of the image at which they start.
        edge: h x w uint8 of 0 and 1: the contour.
        reach: h x w uint8 of 0 and 1: the contour dilated with :func:`disk`.
    """

    count: int
    top: int
    left: int
    edge: NDArray[np.uint8]
    reach: NDArray[np.uint8]

    @classmethod
    def of(cls, mask: NDArray[np.uint8], *, radius: int) -> Contour:
        """Outline of an H x W uint8 mask of 0 and 1, with a tolerance of ``radius`` pixels."""
        height, width = mask.shape
        left, top, w, h = cv2.boundingRect(mask)
        # The contour reaches one pixel up and left of the mask, the dilation ``radius`` further; the pixel to
        # the right and below the crop must be in it too, or the crop's border would be taken for the image's.
        y0, x0 = max(top - 1 - radius, 0), max(left - 1 - radius, 0)
        y1, x1 = min(top + h + radius + 1, height), min(left + w + radius + 1, width)
        if not w or not h:
            y1, x1 = y0, x0
        edge = _edges(mask[y0:y1, x0:x1])
        count = cv2.countNonZero(edge) if edge.size else 0
        reach = cv2.dilate(edge, disk(radius)) if count else edge
        return cls(count=count, top=y0, left=x0, edge=edge, reach=reach.astype(np.uint8, copy=False))

    def found_near(self, other: Contour) -> int:
        """How many pixels of this contour lie within the tolerance of the other."""
        y0, x0 = max(self.top, other.top), max(self.left, other.left)
        y1 = min(self.top + self.edge.shape[0], other.top + other.edge.shape[0])
        x1 = min(self.left + self.edge.shape[1], other.left + other.edge.shape[1])
        if y0 >= y1 or x0 >= x1:
            return 0
        mine = self.edge[y0 - self.top : y1 - self.top, x0 - self.left : x1 - self.left]
        theirs = other.reach[y0 - other.top : y1 - other.top, x0 - other.left : x1 - other.left]
        return int(cv2.countNonZero(mine & theirs))


def contour_f(prediction: Contour, truth: Contour) -> float:
    """F of two outlines that were taken with one tolerance; see :func:`boundary_f`."""
    if not prediction.count or not truth.count:
        # One empty: precision 1 and recall 0, or the reverse. Both empty: nothing to find, nothing missed.
        return float(prediction.count == truth.count)
    precision = prediction.found_near(truth) / prediction.count
    recall = truth.found_near(prediction) / truth.count
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _edges(binary: NDArray[np.uint8]) -> NDArray[np.uint8]:
    edges = np.zeros_like(binary)
    across = binary[:, :-1] ^ binary[:, 1:]
    down = binary[:-1] ^ binary[1:]
    # A pixel and its right, lower and lower-right neighbour are not all equal if and only if one of the three
    # steps along right -> lower right and along lower is a change; the fourth step is implied.
    edges[:, :-1] = across
    edges[:-1] |= down
    edges[:-1, :-1] |= across[1:]
    return edges
