"""Training of covos-lite: its losses, its pictures, and how it is measured.

Shape legend: G groups, K frames of a group, B = G K frames, H height, W width.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from covos.data import Dataset
from covos.engines.encoding import VideoNetwork
from covos.models.coattention import Memory
from covos.models.efficientnet_lite import load_imagenet_weights
from covos.models.lite import CovosLite
from covos.training.base import DrawnTask, picture_table
from covos.training.lite.batches import GroupBatch, GroupBatches
from covos.training.lite.recipe import LiteRecipe
from covos.training.losses import contour_weight, read_mask_bce, soft_iou, weighted_bce
from covos.training.validate import Validation, validate

SHOWN = 4
"""Frames of a batch that are shown."""


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
    """Return, for each frame of a batch, the memory of the other frames of its group.

    Args:
        memory: All B frames, M positions each.
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


def batch_losses(network: CovosLite, batch: GroupBatch, recipe: LiteRecipe, *, precision: torch.dtype) -> Losses:
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


@torch.inference_mode()
def prediction_table(network: CovosLite, batch: GroupBatch) -> Tensor:
    """Show the first frames of a batch in columns: frame, target, prediction.

    Args:
        network: In evaluation mode.
        batch: On the network's device.

    Returns:
        3 x (3 H) x (4 W) uint8 RGB.
    """
    image = batch.image.float() / 255
    features = network.encode(image, batch.motion)
    memory = siblings(network.memorise(features), group_size=batch.group_size)
    logit = network.decode(features, memory).logit_B1HW
    size = image.shape[2:]
    target = F.interpolate(batch.target, size=size, mode="nearest").expand(-1, 3, -1, -1)
    predicted = F.interpolate(logit.sigmoid(), size=size, mode="bilinear").expand(-1, 3, -1, -1)
    return picture_table(part[:SHOWN] for part in (image, target, predicted))


class LiteTask(DrawnTask[LiteRecipe]):
    """Training of covos-lite, see `covos.training.task.Task`."""

    name = "covos-lite"
    architecture = "lite"
    network_type = CovosLite
    batches_type = GroupBatches
    fresh_start = "ImageNet weights for the encoder, random ones for the rest"

    def fill(self, network: nn.Module) -> None:
        """Load ImageNet weights, from the optional package that brings them."""
        assert isinstance(network, CovosLite)
        load_imagenet_weights(network.encoder)

    @property
    def encoder_rate(self) -> float:
        """Peak learning rate of the encoder, which starts from other weights."""
        return self.recipe.encoder_learning_rate

    def losses(self, network: nn.Module, batch: GroupBatch, *, precision: torch.dtype) -> dict[str, Tensor]:
        """Return the losses by name, see `Losses`."""
        assert isinstance(network, CovosLite)
        return batch_losses(network, batch, self.recipe, precision=precision)._asdict()

    def pictures(self, network: nn.Module, batch: GroupBatch) -> Tensor:
        """Show frames, targets and predictions."""
        assert isinstance(network, CovosLite)
        return prediction_table(network, batch)

    def measure(
        self, network: nn.Module, dataset: Dataset, *, device: torch.device, precision: torch.dtype, every: int
    ) -> Validation:
        """Segment videos through the engine that users run."""
        return validate(cast("VideoNetwork[Any]", network), dataset, device=device, precision=precision, every=every)
