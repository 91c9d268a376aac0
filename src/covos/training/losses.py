"""Losses on soft targets.

Shape legend: B batch, H height, W width; all maps B x 1 x H x W.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

EPS = 1e-4
CONTOUR_REACH = 15
"""Side of the square whose mean a cell is compared with, at stride 2: a thirtieth of the frame at the size in use."""


def contour_weight(target: Tensor, *, strength: float) -> Tensor:
    """1 + strength * |mean of the target around a cell - target| (Wei et al., F3Net, AAAI 2020, equation 5).

    It is high along contours and in thin parts, where the surroundings are unlike the cell.
    """
    around = F.avg_pool2d(target, CONTOUR_REACH, stride=1, padding=CONTOUR_REACH // 2, count_include_pad=False)
    return 1 + strength * (around - target).abs()


def weighted_bce(logit: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Binary cross-entropy with soft targets, averaged over the weights."""
    return weighted_mean(F.binary_cross_entropy_with_logits(logit.float(), target, reduction="none"), weight)


def read_mask_bce(read: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy of a probability that was read from references, in [0, 1] up to rounding."""
    read = read.float().clamp(EPS, 1 - EPS)
    # Torch's own refuses what is no number, on a GPU for the whole process; the loop says what that means.
    return weighted_mean((target - 1) * torch.log1p(-read) - target * torch.log(read), weight)


def weighted_mean(loss: Tensor, weight: Tensor) -> Tensor:
    """Mean of a loss over the weights, which are of the same shape."""
    return (loss * weight).sum() / weight.sum().clamp(min=1.0)


def soft_iou(logit: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """1 - intersection over union of the probabilities, averaged over the batch (Rahman & Wang, ISVC 2016).

    A frame without any subject counts as one whose union is what was predicted, so it teaches an empty mask.
    """
    probability = logit.float().sigmoid() * weight
    target = target * weight
    intersection = (probability * target).sum(dim=(1, 2, 3))
    union = (probability + target - probability * target).sum(dim=(1, 2, 3))
    # The constant keeps a nearly empty frame from dominating: below some 16 cells, the cross-entropy decides.
    return (1 - (intersection + 16.0) / (union + 16.0)).mean()
