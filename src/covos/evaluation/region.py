"""Region similarity J: intersection over union of one object in one frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2

from covos.evaluation.binary import BinaryArray, same_size

if TYPE_CHECKING:
    from covos.evaluation.object_mask import ObjectMask


def jaccard(prediction: BinaryArray, truth: BinaryArray, *, void: BinaryArray | None = None) -> float:
    """Region similarity J of two masks: intersection over union.

    Source: Perazzi et al., "A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation",
    CVPR 2016, section 4.1.

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
    return _ratio(cv2.countNonZero(p & g), cv2.countNonZero(p) + cv2.countNonZero(g))


def region_j(prediction: ObjectMask, truth: ObjectMask) -> float:
    """J of two masks of one image; see :func:`jaccard`."""
    return _ratio(prediction.region.common(truth.region), prediction.area + truth.area)


def _ratio(both: int, areas: int) -> float:
    union = areas - both
    return both / union if union else 1.0
