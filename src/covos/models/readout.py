"""Reading the memory of covos-follow: which remembered positions a position of the frame listens to, and what they say.

Shape legend: as in `covos.models.follow`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

TINY = 1e-30
"""Lets an object of which nothing is known read zeros."""
TOP = 32
"""Positions of the long-term memory that a position of the frame reads: those that match it best."""
KERNEL_REACH = 6.0
"""Standard deviation, in cells of stride 16, of the kernel round the position that a remembered one matches best."""
KERNEL_LEAST = 0.01
"""The kernel falls no lower along an axis: what is far from the best match is doubted, not denied."""


def focused(affinity_BNM: Tensor, cells: Sequence[int]) -> Tensor:
    """Let positions of a frame and of a memory choose each other, as things that look alike demand.

    A position of the frame reads the `TOP` positions that match it best: of the others there are so many that together
    they outvote them (Cheng et al., *Modular Interactive Video Object Segmentation*, CVPR 2021, section 3.2). A
    position of the memory also counts most around the position of the frame that it matches best, by the kernel of KMN
    (Seong et al., *Kernelized Memory Network for Video Object Segmentation*, ECCV 2020, section 3.2): it has one place,
    and anything like it elsewhere is another thing.

    Args:
        affinity_BNM: From `CovosFollow.affinity`, for h x w = N positions of the frame.
        cells: h and w.
    """
    # Padded, since a memory of a small frame has fewer.
    least = torch.topk(F.pad(affinity_BNM, (0, TOP)), TOP, dim=2, sorted=False).values.amin(dim=2, keepdim=True)
    height, width = cells
    device = affinity_BNM.device
    best_BM = affinity_BNM.argmax(dim=1)
    row = torch.div(best_BM, width, rounding_mode="floor").unsqueeze(1)
    column = best_BM.unsqueeze(1) - row * width
    # A Gaussian of a plane is the product of two, one of the rows and one of the columns.
    down, across = (
        torch.exp(-((torch.arange(count, device=device).view(1, -1, 1) - at) / KERNEL_REACH).square() / 2).clamp(
            min=KERNEL_LEAST
        )
        for count, at in ((height, row), (width, column))
    )
    batch, _, positions = affinity_BNM.shape
    chosen = torch.where(affinity_BNM >= least, affinity_BNM, torch.zeros_like(affinity_BNM))
    shaped = chosen.view(batch, height, width, positions)
    return (shaped * down.unsqueeze(2) * across.unsqueeze(1)).flatten(1, 2)


def read(
    affinity_BNM: Tensor,
    value_PMC: Tensor,
    owner_P: Tensor,
    *,
    scale: Tensor,
    precision: torch.dtype = torch.float32,
    matched_BNM: Tensor | None = None,
) -> Tensor:
    """Read the memory at each position.

    Args:
        affinity_BNM: From `CovosFollow.affinity` or `CovosFollow.nearby`.
        value_PMC: See `ObjectMemory`; where the last channel is 0, the object is not looked for.
        owner_P: Frame of each object.
        scale: Scale of the affinity.
        precision: Type of the products, if there is one frame: sums of them are normalised by sums that are rounded
            alike.
        matched_BNM: Affinity that gives the match; None takes the same.

    Returns:
        P x N x C: the mean of the values under the affinity, and in the last channel, in place of the weight, the
        match in [-1, 1]: the log of the mean affinity over the scale, as a cosine.
    """
    value, counted = value_PMC[..., :-1], value_PMC[..., -1:]
    weighted = torch.cat([value * counted, counted], dim=2)
    matched_BNM = affinity_BNM if matched_BNM is None else matched_BNM
    if len(affinity_BNM) == 1:
        # One product for all objects: the affinity, much the largest part, is not copied.
        pairs, positions, channels = weighted.shape
        flat = weighted.transpose(0, 1).reshape(positions, pairs * channels)
        summed = (affinity_BNM[0].to(precision) @ flat.to(precision)).float().view(-1, pairs, channels).transpose(0, 1)
        whole = (matched_BNM[0].to(precision) @ counted[..., 0].T.to(precision)).float().T.unsqueeze(2)
    else:
        summed = affinity_BNM[owner_P] @ weighted
        whole = matched_BNM[owner_P] @ counted
    total = summed[..., -1:]
    count = counted.sum(dim=1, keepdim=True).clamp(min=1)
    match = 1 + torch.log(whole / count + TINY) / scale
    return torch.cat([summed[..., :-1] / (total + TINY), match.clamp(min=-1)], dim=2)
