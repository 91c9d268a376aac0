"""How sure a result is of itself."""

from __future__ import annotations

import cv2
import numpy as np

from covos.types import MaskArray, ProbabilityArray


def expected_jaccard(probability: ProbabilityArray, mask: MaskArray) -> float:
    """The J that a mask would have if the probabilities were right.

    With each pixel in the subject with its own probability p, the expected intersection of the mask with the truth
    is the sum of p inside the mask, and the expected union is the mask's area plus the sum of p outside. Their ratio
    is the quantity that optimal-decision work on the Jaccard index bounds (Nowozin, CVPR 2014, section 3).

    Args:
        probability: H x W float32 in [0, 1].
        mask: H x W bool.

    Returns:
        In [0, 1]. For an empty mask, 1 - the highest probability: the chance that the likeliest pixel is empty too.
    """
    # OpenCV sums in float64 as numpy can, in half the time.
    chosen = mask.view(np.uint8)
    area = cv2.countNonZero(chosen)
    if area == 0:
        return float(1 - probability.max())
    inside = cv2.mean(probability, chosen)[0] * area
    outside = cv2.sumElems(probability)[0] - inside
    # The order of a sum, and so its last bits, depend on where in memory the numbers lie.
    return round(inside / (area + outside), 9)
