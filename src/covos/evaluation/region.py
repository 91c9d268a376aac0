"""Region similarity J: intersection over union of one object in one frame."""

from __future__ import annotations

import cv2

from covos.evaluation.binary import BinaryArray, same_size


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
    return jaccard_of_counts(
        intersection=cv2.countNonZero(p & g), prediction=cv2.countNonZero(p), truth=cv2.countNonZero(g)
    )


def jaccard_of_counts(*, intersection: int, prediction: int, truth: int) -> float:
    """J from pixel counts: of both masks together, of the prediction and of the ground truth."""
    union = prediction + truth - intersection
    return intersection / union if union else 1.0
