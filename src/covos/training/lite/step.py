"""The loss of one batch: what covos-lite is asked to learn.

Shape legend: G groups, K frames of a group, B = G K frames, H height, W width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from covos.models.coattention import Memory
from covos.models.lite import CovosLite
from covos.training.lite.batches import Batch
from covos.training.lite.losses import contour_weight, read_mask_bce, soft_iou, weighted_bce
from covos.training.lite.recipe import LiteRecipe


class Losses(NamedTuple):
    """Scalar losses of a step; ``total`` is what is minimised."""

    total: Tensor
    mask: Tensor
    """Cross-entropy + soft IoU of the output."""
    still: Tensor
    """Cross-entropy of the still-image head."""
    match: Tensor
    """Cross-entropy of the references' true masks as read through the attention: it teaches what matches what."""


def siblings(memory: Memory, *, group_size: int) -> Memory:
    """For each frame of a batch, the memory of the other frames of its group.

    Args:
        memory: Of all B frames, M positions each.
        group_size: K.

    Returns:
        B memories of (K - 1) M positions.
    """
    frames = memory.keys_BMK.shape[0]
    index = torch.tensor(
        [
            [group + other for other in range(group_size) if other != k]
            for group in range(0, frames, group_size)
            for k in range(group_size)
        ],
        device=memory.keys_BMK.device,
    )
    return Memory(*(part[index].flatten(1, 2) for part in memory))


def batch_losses(network: CovosLite, batch: Batch, recipe: LiteRecipe, *, precision: torch.dtype) -> Losses:
    """Run a batch through the network; the frames of each group are each other's references."""
    image = batch.image.to(memory_format=torch.channels_last).float() / 255
    device = image.device.type
    height, width = image.shape[2:]
    # Clamped: an average of ones may exceed one by a rounding error, which a cross-entropy refuses.
    target16 = F.interpolate(batch.target, size=(height // 16, width // 16), mode="area").clamp(0, 1)
    weight16 = F.interpolate(batch.weight, size=(height // 16, width // 16), mode="area")
    with torch.autocast(device, precision, enabled=precision != torch.float32):
        features = network.encode(image, batch.motion)
        memory = siblings(network.memorise(features, extra_BEHW=target16), group_size=batch.group_size)
        decoded = network.decode(features, memory)
    weight = batch.weight * contour_weight(batch.target, strength=recipe.edge_weight)
    mask = weighted_bce(decoded.logit_B1HW, batch.target, weight) + soft_iou(
        decoded.logit_B1HW, batch.target, batch.weight
    )
    still = weighted_bce(features.still_B1HW, target16, weight16)
    match = read_mask_bce(decoded.extra_BEHW, target16, weight16)
    return Losses(mask + recipe.still_weight * still + recipe.match_weight * match, mask, still, match)
