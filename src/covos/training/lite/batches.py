"""Batches of groups of frames, made on the fly: that of a step depends on the seed, the step and the process alone.

Shape legend: G groups, K frames of a group, H height, W width.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from covos.training.lite.recipe import LiteRecipe
from covos.training.pools import DrawnBatches
from covos.training.scenes.groups import draw_group
from covos.training.scenes.samples import Sample


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
            samples += draw_group(self.moving, self.still, group_size=group_size, crop=crop, recipe=recipe, rng=rng)
        return GroupBatch(
            torch.from_numpy(np.stack([sample.image for sample in samples])).permute(0, 3, 1, 2),
            torch.from_numpy(np.stack([sample.target for sample in samples]))[:, None],
            torch.from_numpy(np.stack([sample.weight for sample in samples]))[:, None],
            torch.from_numpy(np.stack([sample.motion for sample in samples])).permute(0, 3, 1, 2),
            group_size,
        )
