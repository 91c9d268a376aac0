"""Batches of clips made on the fly: the batch of a step depends on the seed, the step and the process alone.

Shape legend: B clips, K frames of a clip, O objects of the clip with the most, H height, W width.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from covos.training.follow.recipe import FollowRecipe
from covos.training.pools import DrawnBatches
from covos.training.scenes.clips import draw_clip


class ClipBatch(NamedTuple):
    """Clips of one step."""

    image: Tensor
    """B x K x 3 x H x W uint8 RGB."""
    target: Tensor
    """B x O x K x H/4 x W/4 float32 in [0, 1]; all zero for objects that a clip does not have."""
    weight: Tensor
    """B x K x H/4 x W/4 float32 in [0, 1]; 0 where the annotation is void."""
    motion: Tensor
    """B x K x 4 x H/4 x W/4 float32; all zero for clips whose motion is not known."""
    exists: Tensor
    """B x O bool: whether the clip has the object."""


class ClipBatches(DrawnBatches[ClipBatch, FollowRecipe]):
    """Item s is the batch of step s, see `DrawnBatches`; each process draws its own clips."""

    def __getitem__(self, step: int) -> ClipBatch:
        recipe = self.recipe
        rng = np.random.default_rng((recipe.seed, step, self.group.rank))
        frames = int(rng.choice(recipe.clip_sizes))
        clips = [
            draw_clip(self.moving, self.still, frames=frames, recipe=recipe, rng=rng)
            for _ in range(recipe.clips_per_step // self.group.size)
        ]
        most = max(1, *(len(clip.masks) for clip in clips))
        cells = clips[0].valid.shape[1:]
        target = np.zeros((len(clips), most, frames, *cells), np.float32)
        for row, clip in enumerate(clips):
            target[row, : len(clip.masks)] = clip.masks
        return ClipBatch(
            torch.from_numpy(np.stack([clip.images for clip in clips])).permute(0, 1, 4, 2, 3),
            torch.from_numpy(target),
            torch.from_numpy(np.stack([clip.valid for clip in clips])),
            torch.from_numpy(np.stack([clip.motion for clip in clips])).permute(0, 1, 4, 2, 3),
            torch.tensor([[k < len(clip.masks) for k in range(most)] for clip in clips]),
        )
