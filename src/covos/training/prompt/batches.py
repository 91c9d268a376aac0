"""Batches of frames with prompts, made on the fly: that of a step depends on the seed, the step and the process alone.

Shape legend: B frames, K points, R rounds, H height, W width.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from covos.core.errors import InputError
from covos.core.types import ProbabilityArray
from covos.models.prompt import OUTPUT_STRIDE
from covos.training.pools import DrawnBatches
from covos.training.prompt.clicks import DrawnPrompt, draw_prompt
from covos.training.prompt.recipe import PromptRecipe
from covos.training.scenes.frames import ObjectFrame, draw_frame
from covos.training.scenes.windows import area_average

MIN_CELLS = 60
"""An object must cover so many cells of the output to be asked for: a disc of 18 pixels."""
TRIES = 12


class PromptBatch(NamedTuple):
    """Frames of one step."""

    image: Tensor
    """B x 3 x H x W uint8 RGB, channels-last in memory."""
    motion: Tensor
    """B x 4 x H/4 x W/4 float32; all zero for frames whose motion is not known."""
    target: Tensor
    """B x 1 x H/2 x W/2 float32 in [0, 1]: the object that is meant."""
    weight: Tensor
    """B x 1 x H/2 x W/2 float32 in [0, 1]; 0 where the annotation is void."""
    point: Tensor
    """B x K x 3 float32, as the next two: what is shown first, see `covos.models.prompt.Prompt`."""
    box: Tensor
    """B x 5."""
    previous: Tensor
    """B x 1 x H/2 x W/2."""
    draw: Tensor
    """B x R x 2 float32 in [0, 1): random numbers for the clicks of each round."""
    rounds: int
    """Number of times that the network is asked: R. After the last one no click is put, so R is never 0."""


class PromptBatches(DrawnBatches[PromptBatch, PromptRecipe]):
    """Item s is the batch of step s, see `DrawnBatches`; each process draws its own frames."""

    def __getitem__(self, step: int) -> PromptBatch:
        recipe = self.recipe
        # All processes ask as often, so that none waits for the others.
        rounds = int(np.random.default_rng((recipe.seed, step)).choice(recipe.rounds))
        rng = np.random.default_rng((recipe.seed, step, self.group.rank))
        drawn = [self._frame(rng) for _ in range(recipe.frames_per_step // self.group.size)]
        frames, targets, weights, prompts = zip(*drawn, strict=True)
        return PromptBatch(
            torch.from_numpy(np.stack([frame.image for frame in frames])).permute(0, 3, 1, 2),
            torch.from_numpy(np.stack([frame.motion for frame in frames])).permute(0, 3, 1, 2),
            torch.from_numpy(np.stack(targets))[:, None],
            torch.from_numpy(np.stack(weights))[:, None],
            torch.from_numpy(np.stack([prompt.point for prompt in prompts])),
            torch.from_numpy(np.stack([prompt.box for prompt in prompts])),
            torch.from_numpy(np.stack([prompt.previous for prompt in prompts]))[:, None],
            torch.from_numpy(rng.random((len(prompts), rounds, 2), np.float32)),
            rounds,
        )

    def _frame(self, rng: Generator) -> tuple[ObjectFrame, ProbabilityArray, ProbabilityArray, DrawnPrompt]:
        for _ in range(TRIES):
            frame = draw_frame(self.moving, self.still, recipe=self.recipe, rng=rng)
            weight = area_average(frame.valid, stride=OUTPUT_STRIDE)
            valid = weight > 0.5
            masks = [area_average(mask, stride=OUTPUT_STRIDE) for mask in frame.masks]
            large = [k for k, mask in enumerate(masks) if ((mask > 0.5) & valid).sum() >= MIN_CELLS]
            if not large:
                continue
            chosen = int(rng.choice(large))
            others = np.zeros(valid.shape, np.bool_)
            for k, mask in enumerate(masks):
                others |= (mask > 0.5) & (k != chosen)
            target = masks[chosen]
            return frame, target, weight, draw_prompt(target > 0.5, others, valid, recipe=self.recipe, rng=rng)
        raise InputError(
            "there is nothing to click on in the training data",
            why=f"of {TRIES} frames drawn none shows an object of any size",
            fix="look at the annotations with: covos data inspect ROOT",
        )
