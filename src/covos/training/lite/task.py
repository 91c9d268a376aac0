"""What training covos-lite is to the loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from covos.data import Dataset
from covos.engines.encoding import VideoNetwork
from covos.models.coattention import Memory
from covos.models.efficientnet_lite import load_imagenet_weights
from covos.models.lite import CovosLite
from covos.training.distributed import SINGLE_PROCESS, ProcessGroup
from covos.training.lite.batches import Batch, StepBatches
from covos.training.lite.recipe import LiteRecipe
from covos.training.validate import Validation, validate

# Losses on soft targets.
#
# Shape legend: B batch, H height, W width; all maps B x 1 x H x W.

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
    loss = F.binary_cross_entropy_with_logits(logit.float(), target, reduction="none")
    return (loss * weight).sum() / weight.sum().clamp(min=1.0)


def soft_iou(logit: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """1 - intersection over union of the probabilities, averaged over the batch (Rahman & Wang, ISVC 2016).

    A frame without any subject counts as one whose union is what was predicted, so it teaches an empty mask.
    """
    probability = logit.float().sigmoid() * weight
    target = target * weight
    intersection = (probability * target).sum(dim=(1, 2, 3))
    union = (probability + target - probability * target).sum(dim=(1, 2, 3))
    # The constant keeps a nearly empty frame from shouting: below some 16 cells, the cross-entropy decides.
    return (1 - (intersection + 16.0) / (union + 16.0)).mean()


def read_mask_bce(read: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy of a probability that was read from references, in [0, 1] up to rounding."""
    probability = read.float().clamp(EPS, 1 - EPS)
    loss = F.binary_cross_entropy(probability, target, reduction="none")
    return (loss * weight).sum() / weight.sum().clamp(min=1.0)


# The loss of one batch: what covos-lite is asked to learn.
#
# Shape legend: G groups, K frames of a group, B = G K frames, H height, W width.


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


# AdamW with the usual exceptions.


def make_optimizer(network: nn.Module, recipe: LiteRecipe) -> torch.optim.AdamW:
    """AdamW in four groups: encoder or not, decayed or not.

    Norms, biases and the temperature are not decayed: they scale, and a scale has no reason to be small.
    Each group's peak rate is kept as ``peak``; the loop sets ``lr`` from it.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        groups.setdefault((name.startswith("encoder."), parameter.ndim > 1), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "peak": recipe.encoder_learning_rate if encoder else recipe.learning_rate,
                "lr": 0.0,
                "weight_decay": recipe.weight_decay if decayed else 0.0,
            }
            for (encoder, decayed), parameters in sorted(groups.items())
        ]
    )


# Pictures of a training, for TensorBoard.

SHOWN = 4


@torch.inference_mode()
def prediction_grid(network: nn.Module, batch: Batch) -> Tensor:
    """The first frames of a batch in columns: frame, target, prediction.

    Args:
        network: A `CovosLite` in evaluation mode.
        batch: On the network's device.

    Returns:
        3 x (3 H) x (4 W) uint8 RGB.
    """
    assert isinstance(network, CovosLite)
    image = batch.image.float() / 255
    features = network.encode(image, batch.motion)
    memory = siblings(network.memorise(features), group_size=batch.group_size)
    logit = network.decode(features, memory).logit_B1HW
    size = image.shape[2:]
    target = F.interpolate(batch.target, size=size, mode="nearest").expand(-1, 3, -1, -1)
    predicted = F.interpolate(logit.sigmoid(), size=size, mode="bilinear").expand(-1, 3, -1, -1)
    columns = torch.cat([image, target, predicted], dim=2)[:SHOWN]
    return (torch.cat(list(columns), dim=2) * 255).to(torch.uint8).cpu()


class LiteTask:
    """A `covos.training.task.Task`.

    Args:
        recipe: Settings.
        datasets: To train on.
    """

    name = "covos-lite"
    architecture = "lite"
    fresh_start = "ImageNet weights for the encoder, random ones for the rest"
    partial = False
    stored = torch.float16

    def __init__(self, recipe: LiteRecipe, datasets: Sequence[Dataset]) -> None:
        self.recipe = recipe
        self.datasets = datasets
        self.steps = recipe.steps

    def make_network(self) -> CovosLite:
        """With random weights."""
        return CovosLite()

    def fill(self, network: nn.Module) -> None:
        """ImageNet weights, from the optional package that brings them."""
        assert isinstance(network, CovosLite)
        load_imagenet_weights(network.encoder)

    def make_optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        """AdamW."""
        return make_optimizer(network, self.recipe)

    def batches(self, group: ProcessGroup = SINGLE_PROCESS) -> StepBatches:
        """Drawn on the fly."""
        return StepBatches(self.datasets, self.recipe, group=group)

    def losses(self, network: nn.Module, batch: Batch, *, precision: torch.dtype) -> dict[str, Tensor]:
        """See `covos.training.lite.task.Losses`."""
        assert isinstance(network, CovosLite)
        return batch_losses(network, batch, self.recipe, precision=precision)._asdict()

    def pictures(self, network: nn.Module, batch: Batch) -> Tensor:
        """Frames, targets and predictions."""
        return prediction_grid(network, batch)

    def measure(
        self, network: nn.Module, dataset: Dataset, *, device: torch.device, precision: torch.dtype, every: int
    ) -> Validation:
        """Through the engine that users run."""
        return validate(cast("VideoNetwork[Any]", network), dataset, device=device, precision=precision, every=every)

    def epoch_after(self, step: int) -> int | None:
        """Never: the recipe counts steps."""
        return None
