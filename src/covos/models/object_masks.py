"""Masks of the objects of a frame: how far they are sure, where they move, and which one has a pixel.

Shape legend: B frames, P pairs of a frame and one of its objects.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

EPS = 1e-6
"""Least share that is left to the objects where all are unlikely: the background's log odds stay finite."""


def with_others(mask_P1HW: Tensor, owner_P: Tensor) -> Tensor:
    """Stack each object's mask, and that of all other objects of its frame together: P x 2 x H x W in [0, 1]."""
    frames = int(owner_P.max()) + 1
    total = mask_P1HW.new_zeros(frames, *mask_P1HW.shape[1:]).index_add(0, owner_P, mask_P1HW)
    return torch.cat([mask_P1HW, (total[owner_P] - mask_P1HW).clamp(0, 1)], dim=1)


def certainty(mask_P1HW: Tensor) -> Tensor:
    """Return how far each cell of a mask of probabilities is to be believed: (2 p - 1)^2, in [0, 1]."""
    return (2 * mask_P1HW - 1).square()


def moved(mask_PCHW: Tensor, flow_P2HW: Tensor) -> Tensor:
    """Move masks along the flow: each cell shows what lies where its flow points; beyond the border nothing does."""
    height, width = mask_PCHW.shape[2:]
    x = torch.arange(width, device=mask_PCHW.device) + flow_P2HW[:, 0]
    y = torch.arange(height, device=mask_PCHW.device)[:, None] + flow_P2HW[:, 1]
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=3)
    return F.grid_sample(mask_PCHW, grid.expand(mask_PCHW.shape[0], -1, -1, -1), align_corners=False)


def aggregate(logit_P1HW: Tensor, owner_P: Tensor, *, frames: int) -> Tensor:
    """Aggregate softly: what several objects say of themselves becomes one distribution.

    Oh et al., *Video Object Segmentation using Space-Time Memory Networks*, ICCV 2019, section 3.4: the background's
    probability is the product of 1 - p_i, and the odds p / (1 - p) of all, background too, are normalised.

    Args:
        logit_P1HW: Logit of each object by itself.
        owner_P: Frame of each object; objects of a frame are neighbours.
        frames: Number of frames B.

    Returns:
        B x (1 + O) x H x W float32 log-probabilities of the background and the O objects of the frame with the most;
        of objects that a frame does not have, minus a lot.
    """
    owners = owner_P.tolist()
    places = [sum(owner == other for other in owners[:index]) for index, owner in enumerate(owners)]
    most = max(places, default=-1) + 1
    height, width = logit_P1HW.shape[2:]
    logit = logit_P1HW[:, 0].float().clamp(-15, 15)
    log_absent = F.logsigmoid(-logit)
    background = logit.new_zeros(frames, height, width).index_add(0, owner_P, log_absent).clamp(min=-30, max=-EPS)
    odds = logit.new_full((frames, 1 + most, height, width), -60.0)
    odds[:, 0] = background - torch.log(-torch.expm1(background))
    odds[owner_P, torch.tensor(places, device=logit.device, dtype=torch.long) + 1] = logit
    return F.log_softmax(odds, dim=1)
