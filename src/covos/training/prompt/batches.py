"""Batches of frames with prompts, made on the fly: that of a step depends on the seed, the step and the process alone.

Shape legend: B frames, K points, R rounds, H height, W width.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from covos.core.errors import InputError
from covos.core.types import ProbabilityArray
from covos.models.prompt import OUTPUT_STRIDE
from covos.training.pools import DrawnBatches
from covos.training.prompt.clicks import Shown, draw_shown
from covos.training.prompt.recipe import PromptRecipe
from covos.training.scenes.prompted import Scene, draw_scene

MIN_CELLS = 60
"""An object must cover so many cells of the output to be asked for: a disc of 18 pixels."""
TRIES = 12


class PromptBatch(NamedTuple):
    """The frames of one step."""

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
    """B x R x 2 float32 in [0, 1): what chance has for the clicks of each round."""
    rounds: int
    """How often the network is asked; R is one more than those after which a click is put, so that it is never 0."""

    def to(self, device: torch.device) -> PromptBatch:
        """The batch on a device."""
        parts = (
            self.image, self.motion, self.target, self.weight, self.point, self.box, self.previous, self.draw,
        )  # fmt: skip
        image, motion, target, weight, point, box, previous, draw = (
            part.to(device, non_blocking=True) for part in parts
        )
        return PromptBatch(image, motion, target, weight, point, box, previous, draw, self.rounds)


class PromptBatches(DrawnBatches[PromptBatch, PromptRecipe]):
    """Item s is the batch of step s, see `DrawnBatches`; each process draws its own frames."""

    def __getitem__(self, step: int) -> PromptBatch:
        recipe = self.recipe
        # All processes ask as often, so that none waits for the others.
        rounds = int(np.random.default_rng((recipe.seed, step)).choice(recipe.rounds))
        rng = np.random.default_rng((recipe.seed, step, self.group.rank))
        images, motions, targets, weights, shown = [], [], [], [], []
        for _ in range(recipe.frames_per_step // self.group.size):
            scene, target, weight, prompt = self._frame(rng)
            images.append(scene.image)
            motions.append(scene.motion)
            targets.append(target)
            weights.append(weight)
            shown.append(prompt)
        return PromptBatch(
            torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2),
            torch.from_numpy(np.stack(motions)).permute(0, 3, 1, 2),
            torch.from_numpy(np.stack(targets))[:, None],
            torch.from_numpy(np.stack(weights))[:, None],
            torch.from_numpy(np.stack([each.point for each in shown])),
            torch.from_numpy(np.stack([each.box for each in shown])),
            torch.from_numpy(np.stack([each.previous for each in shown]))[:, None],
            torch.from_numpy(rng.random((len(shown), rounds, 2), np.float32)),
            rounds,
        )

    def _frame(self, rng: Generator) -> tuple[Scene, ProbabilityArray, ProbabilityArray, Shown]:
        for _ in range(TRIES):
            scene = draw_scene(self.moving, self.still, recipe=self.recipe, rng=rng)
            weight = at_output(scene.valid)
            valid = weight > 0.5
            masks = [at_output(mask) for mask in scene.masks]
            large = [k for k, mask in enumerate(masks) if ((mask > 0.5) & valid).sum() >= MIN_CELLS]
            if not large:
                continue
            chosen = int(rng.choice(large))
            others = np.zeros(valid.shape, np.bool_)
            for k, mask in enumerate(masks):
                others |= (mask > 0.5) & (k != chosen)
            target = masks[chosen]
            return scene, target, weight, draw_shown(target > 0.5, others, valid, recipe=self.recipe, rng=rng)
        raise InputError(
            "there is nothing to click on in the training data",
            why=f"of {TRIES} frames drawn none shows an object of any size",
            fix="look at the annotations with: covos data inspect ROOT",
        )


def at_output(mask: ProbabilityArray) -> ProbabilityArray:
    """Area averages at the stride of the network's output."""
    small = mask.shape[1] // OUTPUT_STRIDE, mask.shape[0] // OUTPUT_STRIDE
    # Averages of ones come out a rounding error above one, which a cross-entropy refuses.
    return np.asarray(np.clip(cv2.resize(mask, small, interpolation=cv2.INTER_AREA), 0, 1), np.float32)
