"""Training of covos-lite: groups of frames of one video, or views of one picture, are each other's references.

Shape legend: G groups, K frames of a group, B = G K frames, H height, W width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from covos.data import Dataset
from covos.models.coattention import Memory
from covos.models.efficientnet_lite import load_imagenet_weights
from covos.models.lite import CovosLite
from covos.training.losses import contour_weight, read_mask_bce, soft_iou, weighted_bce
from covos.training.pools import DrawnBatches
from covos.training.recipe import LiteRecipe
from covos.training.scenes.groups import draw_group, plain_group
from covos.training.scenes.samples import Sample
from covos.training.task import LOSS_FRAMES, Task, picture_table

SHOWN = 4
"""Frames of a batch that are shown."""


class GroupBatch(NamedTuple):
    """Frames of one step. The frames of a group are neighbours: frame g * K + k is the k-th of group g."""

    image: Tensor
    """(G K) x 3 x H x W uint8 RGB, channels-last in memory."""
    target: Tensor
    """(G K) x 1 x H/2 x W/2 float32 in [0, 1]."""
    weight: Tensor
    """(G K) x 1 x H/2 x W/2 float32 in [0, 1]; 0 where the annotation is void."""
    motion: Tensor
    """(G K) x 4 x H/4 x W/4 float32; all zero for frames whose motion is not known."""
    group_size: int
    """K."""


class GroupBatches(DrawnBatches[GroupBatch, LiteRecipe]):
    """Item s is the batch of step s, see `DrawnBatches`; each process draws its own frames."""

    def __getitem__(self, step: int) -> GroupBatch:
        recipe = self.recipe
        rng = np.random.default_rng((recipe.seed, step, self.group.rank) if self.group.rank else (recipe.seed, step))
        group_size = int(rng.choice(recipe.group_sizes))
        crop = recipe.crops[int(rng.choice(len(recipe.crops), p=recipe.crop_chances))]
        samples: list[Sample] = []
        for _ in range(recipe.frames_per_step // self.group.size // group_size):
            samples += self.skips.draw(
                lambda _: draw_group(self.moving, self.still, group_size=group_size, crop=crop, recipe=recipe, rng=rng)
            )
        return as_batch(samples, group_size=group_size)


def as_batch(samples: Sequence[Sample], *, group_size: int) -> GroupBatch:
    """Return samples as a batch."""
    return GroupBatch(
        torch.from_numpy(np.stack([sample.image for sample in samples])).permute(0, 3, 1, 2),
        torch.from_numpy(np.stack([sample.target for sample in samples]))[:, None],
        torch.from_numpy(np.stack([sample.weight for sample in samples]))[:, None],
        torch.from_numpy(np.stack([sample.motion for sample in samples])).permute(0, 3, 1, 2),
        group_size,
    )


def siblings(memory: Memory, *, group_size: int) -> Memory:
    """Return, for each of B frames, the memory of the other frames of its group: (K - 1) M positions of M each."""
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


class LiteTask(Task[LiteRecipe]):
    """Training of covos-lite, see `covos.training.task.Task`."""

    name = "covos-lite"
    architecture = "lite"
    network_type = CovosLite
    recipe_type = LiteRecipe
    batches_type = GroupBatches
    fresh_start = "ImageNet weights for the encoder, random ones for the rest"

    def fill(self, network: nn.Module) -> None:
        """Load ImageNet weights, from the optional package that brings them."""
        assert isinstance(network, CovosLite)
        load_imagenet_weights(network.encoder)

    def validation_batches(self, dataset: Dataset) -> Iterator[GroupBatch]:
        """Yield a group of whole frames for each of some videos, at the size in use: nothing is drawn."""
        group_size = max(self.recipe.group_sizes)
        size = sorted(self.recipe.crops)[len(self.recipe.crops) // 2]
        count = min(len(dataset), -(-LOSS_FRAMES // group_size))
        for video in (dataset.videos[k * len(dataset) // count] for k in range(count)):
            yield as_batch(plain_group(video, group_size=group_size, size=size), group_size=group_size)

    @property
    def encoder_rate(self) -> float:
        """Peak learning rate of the encoder, which starts from other weights."""
        return self.recipe.encoder_learning_rate

    def losses(self, network: CovosLite, batch: GroupBatch, *, precision: torch.dtype) -> dict[str, Tensor]:
        """Return the losses of the output, of the still-image head and of what the attention matches.

        The frames of each group are each other's references. ``"match"`` compares their true masks as read through
        the attention: it teaches what matches what.
        """
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
        weight = batch.weight * contour_weight(batch.target, strength=self.recipe.edge_weight)
        mask = weighted_bce(decoded.logit_B1HW, batch.target, weight) + soft_iou(
            decoded.logit_B1HW, batch.target, batch.weight
        )
        still = weighted_bce(features.still_B1HW, target16, weight16)
        match = read_mask_bce(decoded.extra_BEHW, target16, weight16)
        total = mask + self.recipe.still_weight * still + self.recipe.match_weight * match
        return {"total": total, "mask": mask, "still": still, "match": match}

    @torch.inference_mode()
    def pictures(self, network: CovosLite, batch: GroupBatch) -> Tensor:
        """Show the first frames of a batch in columns: frame, target, prediction."""
        image = batch.image.float() / 255
        features = network.encode(image, batch.motion)
        memory = siblings(network.memorise(features), group_size=batch.group_size)
        logit = network.decode(features, memory).logit_B1HW
        size = image.shape[2:]
        target = F.interpolate(batch.target, size=size, mode="nearest").expand(-1, 3, -1, -1)
        predicted = F.interpolate(logit.sigmoid(), size=size, mode="bilinear").expand(-1, 3, -1, -1)
        return picture_table(part[:SHOWN] for part in (image, target, predicted))
