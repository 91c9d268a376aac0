"""A subject's probability fitted to the picture, with a soft edge for formats that have one."""

from __future__ import annotations

import numpy as np
import torch

from covos.core.types import ImageArray, ProbabilityArray
from covos.masks.soft import soft_edge
from covos.models.cosnet.crf import crf_filter


def fitted_by_crf(
    image: ImageArray, probability: ProbabilityArray, *, device: torch.device | None = None
) -> ProbabilityArray:
    """Fit a probability to the picture by the dense CRF, and soften the edge.

    A CRF's marginals are near 0 and 1 up to the contour. Made to an opacity, they would be a staircase.

    Args:
        image: H x W x 3 uint8 RGB.
        probability: H x W float32 in [0, 1].
        device: See `covos.models.crf_filter`.

    Returns:
        H x W float32 in [0, 1]: above 1/2 where the marginals are, and there alone. Near the contour it is no surer
        than the edge of a mask that was drawn (`covos.masks.soft.soft_edge`).
    """
    sharp = crf_filter(image, probability, device=device)
    inside = sharp > 0.5
    soft = soft_edge(inside)
    return np.where(inside, np.minimum(sharp, soft), np.maximum(sharp, soft)).astype(np.float32)
