"""Training of covos-matte: short clips of known alpha, found frame by frame, each with the alpha of the one before.

Shape legend: B clips, K frames, H = W = `TILE`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from covos.core.errors import UsageError
from covos.data import Dataset
from covos.engines.band import sample_sides, tile_inputs
from covos.engines.steady import grey, way_to
from covos.models.matte import BAND, BEFORE, GUESS, INPUTS, PROBABILITY, CovosMatte
from covos.training.distributed import SINGLE_PROCESS, ProcessGroup
from covos.training.losses import weighted_mean
from covos.training.pools import DrawnBatches
from covos.training.recipe import MatteRecipe
from covos.training.scenes.mattes import MatteFrame, MattePools, draw_clip
from covos.training.task import Task, picture_table, split
from covos.training.validate import Validation

TILE = 128
"""Side of a tile that the network learns from; it finds mattes in tiles of other sizes, too."""
CONTEXT = 32
"""Pixels beyond the tile, on each side, in which colours of both sides are sampled."""
LEVELS = 4
"""Levels of the Laplacian pyramid."""
SHOWN = 8
"""Clips of a batch that are shown, about."""
INNER = slice(CONTEXT, -CONTEXT)
COLOURS = (0, 7, 10)
"""First channels of the picture's colours and of the samples of both sides in an input."""


class MatteBatch(NamedTuple):
    """Clips of one step."""

    image: Tensor
    """B x K x `INPUTS` x H x W float16: the inputs of the network, but for the alpha of the frame before."""
    target: Tensor
    """B x K x 1 x H x W float16 in [0, 1]."""
    weight: Tensor
    """B x K x 1 x H x W float16: 1 in the band, 0 outside."""
    flow: Tensor
    """B x K x 2 x H x W float16, in pixels: where each pixel was in the frame before."""
    known: Tensor
    """B x K x 1 x H x W float16 in [0, 1]: how far that can be relied on; 0 in the first frame."""


Clip = tuple[NDArray[Any], ...]
"""One clip of each part of a `MatteBatch`."""


class MatteBatches(DrawnBatches[MatteBatch, MatteRecipe]):
    """Item s is the batch of step s, see `DrawnBatches`; each process draws its own clips.

    To draw a clip costs more than to learn from it. So some clips of a step are new, and the others are taken from
    those that were new a while ago, turned, mirrored and with other colours.
    """

    def __init__(
        self, datasets: Sequence[Dataset], recipe: MatteRecipe, *, group: ProcessGroup = SINGLE_PROCESS
    ) -> None:
        super().__init__(datasets, recipe, group=group)
        self.pools = MattePools.of(datasets)
        self._kept: OrderedDict[int, Clip] = OrderedDict()

    def __getitem__(self, step: int) -> MatteBatch:
        recipe = self.recipe
        rng = np.random.default_rng((recipe.seed, step, self.group.rank))
        count = recipe.clips_per_step // self.group.size
        new = max(1, round(count * recipe.new_share))
        numbers = [step * new + k for k in range(new)]
        numbers += rng.integers(max(0, step * new - recipe.kept), max(1, step * new), count - new).tolist()
        clips = [_changed(self._clip(number), rng=rng) for number in numbers]
        return MatteBatch(*(torch.from_numpy(np.stack(parts)) for parts in zip(*clips, strict=True)))

    def _clip(self, number: int) -> Clip:
        """Return the clip of a number, which depends on nothing else; the ones that were new last are kept."""
        if number not in self._kept:
            rng = np.random.default_rng((self.recipe.seed, self.group.rank, number, 1))
            self._kept[number] = self.skips.draw(lambda _: self._drawn(rng))
            while len(self._kept) > self.recipe.kept + self.recipe.clips_per_step:
                self._kept.popitem(last=False)
        return self._kept[number]

    def _drawn(self, rng: Generator) -> Clip:
        recipe = self.recipe
        frames = draw_clip(self.pools, frames=recipe.frames, side=TILE + 2 * CONTEXT, recipe=recipe, rng=rng)
        alone = rng.random() < recipe.alone_share
        # The flow of a large frame is found in a reduced picture.
        rows = int(rng.choice([TILE + 2 * CONTEXT, TILE // 2 + CONTEXT]))
        inputs, flows, knowns = [], [], []
        nothing = np.zeros(frames[0].alpha.shape, np.float32)
        for index, frame in enumerate(frames):
            flow, known = np.zeros((*nothing.shape, 2), np.float32), nothing
            if index and not alone:
                flow, known = way_to(grey(frame.image), grey(frames[index - 1].image), rows=rows)
            inputs.append(_told(frame, nothing))
            flows.append(flow[INNER, INNER].transpose(2, 0, 1))
            knowns.append(known[None, INNER, INNER])
        targets = [frame.alpha[None, INNER, INNER] for frame in frames]
        weights = [frame.band[None, INNER, INNER] for frame in frames]
        parts = (inputs, targets, weights, flows, knowns)
        return tuple(np.stack(part).astype(np.float16) for part in parts)


def _told(frame: MatteFrame, nothing: NDArray[np.float32]) -> NDArray[np.float32]:
    inner = (INNER, INNER)
    asked = np.zeros_like(frame.band)
    asked[inner] = frame.band[inner]
    sides = sample_sides(frame.image, frame.probability, frame.band, asked=asked, far=frame.far).told
    unknown = nothing[inner]
    band = frame.band[inner]
    told = np.empty((*band.shape, INPUTS), np.float32)
    tile_inputs(frame.image[inner], frame.probability[inner], band, unknown, unknown, sides=sides, out=told)
    return told.transpose(2, 0, 1)


def _changed(clip: Clip, *, rng: Generator) -> Clip:
    """Turn, mirror and recolour a clip: the alpha does not depend on which colour is which."""
    image, target, weight, flow, known = clip
    order = rng.permutation(3)
    image = image.copy()
    for start in COLOURS:
        image[:, start : start + 3] = image[:, start + order]
    parts = [image, target, weight, flow, known]
    if rng.random() < 0.5:
        parts = [part[..., ::-1] for part in parts]
        parts[3] = parts[3] * np.array([-1, 1], np.float16)[:, None, None]
    if rng.random() < 0.5:
        parts = [part[..., ::-1, :] for part in parts]
        parts[3] = parts[3] * np.array([1, -1], np.float16)[:, None, None]
    if rng.random() < 0.5:
        parts = [part.swapaxes(-1, -2) for part in parts]
        parts[3] = parts[3][:, ::-1]
    return tuple(np.ascontiguousarray(part) for part in parts)


def find_all(network: CovosMatte, batch: MatteBatch, *, precision: torch.dtype) -> Tensor:
    """Find the alphas of all frames, each with what was found in the frame before: B x K x 1 x H x W float32."""
    found: list[Tensor] = []
    for index in range(batch.image.shape[1]):
        told = batch.image[:, index].float()
        if found:
            known = batch.known[:, index].float()
            before = warped(found[-1].detach().clamp(0, 1), batch.flow[:, index].float())
            told = torch.cat([told[:, :BEFORE], before * known, known, told[:, BEFORE + 2 :]], dim=1)
        told = told.contiguous(memory_format=torch.channels_last)
        with torch.autocast(told.device.type, dtype=precision, enabled=precision != torch.float32):
            alpha = network(told)
        band, probability = told[:, BAND : BAND + 1], told[:, PROBABILITY : PROBABILITY + 1]
        found.append(torch.where(band > 0.5, alpha, probability))
    return torch.stack(found, dim=1)


def warped(alpha: Tensor, flow: Tensor) -> Tensor:
    """Move B x 1 x H x W by B x 2 x H x W pixels: each place takes what lies where the flow points."""
    height, width = alpha.shape[2:]
    rows = torch.arange(height, device=alpha.device, dtype=torch.float32)[:, None] + flow[:, 1]
    columns = torch.arange(width, device=alpha.device, dtype=torch.float32) + flow[:, 0]
    grid = torch.stack([(columns + 0.5) / width * 2 - 1, (rows + 0.5) / height * 2 - 1], dim=3)
    return F.grid_sample(alpha, grid, mode="bilinear", padding_mode="border", align_corners=False)


def laplacian_error(found: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Sum of the L1 errors of the levels of a Laplacian pyramid, N x 1 x H x W each; coarse levels count double."""
    difference, total = (found - target) * weight, found.new_zeros(())
    for level in range(LEVELS):
        coarse = F.avg_pool2d(difference, 2)
        band = difference - F.interpolate(coarse, scale_factor=2, mode="nearest")
        share = weight if level == 0 else F.avg_pool2d(weight, 2**level)
        total = total + 2**level * band.abs().sum() / share.sum().clamp(min=1.0)
        difference = coarse
    return total / LEVELS


def gradient_error(found: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """L1 error of the differences of neighbouring pixels."""
    difference, total = found - target, found.new_zeros(())
    for axis in (2, 3):
        steps = difference.diff(dim=axis).abs()
        inside = weight.narrow(axis, 1, weight.shape[axis] - 1)
        total = total + weighted_mean(steps, inside)
    return total


class MatteTask(Task[MatteRecipe]):
    """Training of covos-matte, see `covos.training.task.Task`."""

    name = "covos-matte"
    architecture = "matte"
    fresh_start = "random weights; the first answer is that of the colours"
    network_type = CovosMatte
    recipe_type = MatteRecipe
    batches_type = MatteBatches
    plain = MappingProxyType({"texture_share": 0.0, "alone_share": 0.0})

    def losses(self, network: CovosMatte, batch: MatteBatch, *, precision: torch.dtype) -> dict[str, Tensor]:
        """Return L1, Laplacian and gradient errors in the band, and that of the changes from frame to frame."""
        found = find_all(network, batch, precision=precision)
        target, weight = batch.target.float(), batch.weight.float()
        flat = [each.flatten(0, 1) for each in (found, target, weight)]
        error = weighted_mean((flat[0] - flat[1]).abs(), flat[2])
        fine, edges = laplacian_error(*flat), gradient_error(*flat)
        time = weighted_mean((found - target).diff(dim=1).square(), weight[:, 1:] * weight[:, :-1])
        total = error + fine + 0.5 * edges + self.recipe.time_weight * time
        return {"total": total, "error": error, "laplacian": fine, "gradient": edges, "time": time}

    @torch.inference_mode()
    def pictures(self, network: CovosMatte, batch: MatteBatch) -> Tensor:
        """Show the last frame of clips in rows: picture, probability, the alpha of colours alone, alpha, truth."""
        batch = next(split(batch, max(1, len(batch.image) // SHOWN)))
        found = find_all(network, batch, precision=torch.float32)[:, -1]
        told = batch.image[:, -1].float()
        maps = [told[:, k : k + 1].expand(-1, 3, -1, -1) for k in (PROBABILITY, GUESS)]
        maps += [each.expand(-1, 3, -1, -1) for each in (found, batch.target[:, -1].float())]
        return picture_table(zip(told[:, :3], *maps, strict=True))

    def measure(
        self, network: CovosMatte, dataset: Dataset, *, device: torch.device, precision: torch.dtype, every: int
    ) -> Validation:
        """Refuse: masks of videos are no mattes."""
        raise UsageError(
            f"a matte cannot be measured on {dataset.name}",
            why="it holds videos with masks, whose edges say nothing about opacity",
            fix="leave it out; benchmarks/matte.py measures on composed clips whose alpha is known",
        )
