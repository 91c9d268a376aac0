"""Reading the memory of covos-follow: which remembered positions a position of the frame listens to, and what they say.

Shape legend: as in `covos.models.follow`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

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


class Chosen(NamedTuple):
    """The T positions of a memory that each position of a frame reads, and how much each of them counts."""

    weight_BNT: Tensor
    index_BNT: Tensor


def focused(affinity_BNM: Tensor, cells: Sequence[int]) -> Chosen:
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
    height, width = cells
    batch, _, positions = affinity_BNM.shape
    # Padded, since a memory of a small frame has fewer; the padding counts nothing.
    weight, index = torch.topk(F.pad(affinity_BNM, (0, TOP)), TOP, dim=2, sorted=False)
    index = index.clamp(max=positions - 1)
    shaped = affinity_BNM.view(batch, height, width, positions)
    # The row and the column of the best match: each is found in the best of the other. Places that match exactly alike
    # are not told apart: the row may be that of one, and the column that of another.
    best_BM2 = torch.stack([shaped.amax(dim=2).argmax(dim=1), shaped.amax(dim=1).argmax(dim=1)], dim=2)
    place_N = torch.arange(height * width, device=affinity_BNM.device)
    row_N = torch.div(place_N, width, rounding_mode="floor")
    own_N2 = torch.stack([row_N, place_N - row_N * width], dim=1)
    away = (own_N2.unsqueeze(1) - _looked_up(best_BM2, index)) / KERNEL_REACH
    # A Gaussian of a plane is the product of two, one of the rows and one of the columns.
    down, across = torch.exp(-away.square() / 2).clamp(min=KERNEL_LEAST).unbind(dim=3)
    return Chosen(weight * down * across, index)


def read(
    affinity_BNM: Tensor,
    value_PMC: Tensor,
    owner_P: Tensor,
    *,
    scale: Tensor,
    precision: torch.dtype = torch.float32,
    chosen: Chosen | None = None,
) -> Tensor:
    """Read the memory at each position.

    Args:
        affinity_BNM: From `CovosFollow.affinity` or `CovosFollow.nearby`.
        value_PMC: See `ObjectMemory`; where the last channel is 0, the object is not looked for.
        owner_P: Frame of each object.
        scale: Scale of the affinity.
        precision: Type of the products of whole affinities, if there is one frame: sums of them are normalised by sums
            that are rounded alike.
        chosen: The positions that are read; None reads all of them. The match is always that of all.

    Returns:
        P x N x C: the mean of the values under the affinity, and in the last channel, in place of the weight, the
        match in [-1, 1]: the log of the mean affinity over the scale, as a cosine.
    """
    value, counted = value_PMC[..., :-1], value_PMC[..., -1:]
    weighted = torch.cat([value * counted, counted], dim=2)
    if chosen is None:
        summed = _summed(affinity_BNM, weighted, owner_P, precision=precision)
        whole = summed[..., -1:]
    else:
        # Few of many: to look them up takes a fraction of the time of a product in which all others are 0.
        rows_PNTC = _looked_up(weighted, chosen.index_BNT[owner_P])
        summed = (chosen.weight_BNT[owner_P].unsqueeze(2) @ rows_PNTC).squeeze(2)
        whole = _summed(affinity_BNM, counted, owner_P, precision=precision)
    count = counted.sum(dim=1, keepdim=True).clamp(min=1)
    match = 1 + torch.log(whole / count + TINY) / scale
    return torch.cat([summed[..., :-1] / (summed[..., -1:] + TINY), match.clamp(min=-1)], dim=2)


def shares(affinity_BNM: Tensor) -> Tensor:
    """Return the share that each position of a memory has in what a frame reads, B x M; each row sums to 1."""
    each_BN1 = affinity_BNM.sum(dim=2, keepdim=True).clamp(min=TINY).reciprocal() / affinity_BNM.shape[1]
    return (each_BN1.transpose(1, 2) @ affinity_BNM).squeeze(1)


def _summed(affinity_BNM: Tensor, value_PMC: Tensor, owner_P: Tensor, *, precision: torch.dtype) -> Tensor:
    """Return the sums of the values under the affinity: P x N x C float32."""
    if len(affinity_BNM) > 1:
        return affinity_BNM[owner_P] @ value_PMC
    # One product for all objects: the affinity, much the largest part, is not copied.
    pairs, positions, channels = value_PMC.shape
    flat = value_PMC.transpose(0, 1).reshape(positions, pairs * channels)
    product = (affinity_BNM[0].to(precision) @ flat.to(precision)).float()
    return product.view(-1, pairs, channels).transpose(0, 1)


def _looked_up(value_PMC: Tensor, index_PNT: Tensor) -> Tensor:
    """Return the values at some positions: P x N x T x C."""
    pairs, positions, _ = value_PMC.shape
    start = torch.arange(pairs, device=value_PMC.device).view(-1, 1, 1) * positions
    return value_PMC.flatten(0, 1)[index_PNT + start]
