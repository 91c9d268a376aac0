"""Batches of pairs and of still pictures: those of a step depend on the seed, the step and the process alone.

The pairs of 560 videos of 150 frames are six million. None of them is written down (`covos.data.PairIndex`), and an
order is turned into another by a permutation that is computed a number at a time.

Shape legend: B pairs or pictures, V views (2 for pairs, 1 for pictures), C outputs, H height, W width.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from covos.core.errors import InputError
from covos.data import Dataset, FrameRecord, PairIndex, Video, read_foreground, read_image, read_labels
from covos.masks import VOID, davis_palette
from covos.training.augment import draw_cut, resampled, stretched
from covos.training.distributed import SINGLE_PROCESS, ProcessGroup
from covos.training.recipe import CosnetRecipe
from covos.training.setting import setting
from covos.training.skipping import Skips

ROUNDS = 4
"""Rounds of the Feistel network: with four, it is a pseudo-random permutation (Luby & Rackoff, 1988)."""
CODED = 7
"""Objects that the three bits of the class targets tell apart."""
ELSEWHERE = 1_000_000
"""Epochs from a pair or picture that cannot be read to that which is taken instead: no run gets as far."""
STILL, CHANGED = 1, 2
"""Marks the order of still pictures off from that of pairs, and both from what is drawn for a frame."""


def shuffled(index: int, *, count: int, key: tuple[int, ...]) -> int:
    """Return a number's place in a random order of ``range(count)``; a bijection for each key.

    A Feistel network permutes the numbers of an even number of bits; numbers beyond ``count`` are permuted again until
    they lie below it (cycle walking: Black & Rogaway, 2002).
    """
    half = max((max(count - 1, 1).bit_length() + 1) // 2, 1)
    mask = (1 << half) - 1
    while True:
        left, right = index >> half, index & mask
        for turn in range(ROUNDS):
            digest = hashlib.blake2b(repr((*key, turn, right)).encode(), digest_size=8).digest()
            left, right = right, left ^ int.from_bytes(digest, "little") & mask
        index = left << half | right
        if index < count:
            return index


def is_still(step: int, *, every: int) -> bool:
    """Tell if a step is on still pictures, where each first one of so many is; 0 leaves them out."""
    return every > 0 and step % every == 0


def steps_on_pairs(steps: int, *, every: int) -> int:
    """Count the steps on pairs among the first so many steps."""
    return steps - -(-steps // every) if every else steps


class PairBatch(NamedTuple):
    """Pairs or still pictures of one step."""

    image: Tensor
    """B x V x 3 x H x W uint8 RGB."""
    target: Tensor
    """B x V x C x H x W float32 in [0, 1]; C = 1 on still pictures."""
    weight: Tensor
    """B x V x 1 x H x W float32; 0 where nothing is to be learnt."""
    area: Tensor
    """B x V x C float32 in [0, 1]: the share of each output's foreground, over all frames of a view in the batch."""


class PairBatches(TorchDataset[PairBatch]):
    """Item s is a process's share of the batch of step s.

    Over the steps, the shares of all processes together run through every pair, epoch by epoch, each epoch in an order
    of its own. If the number of pairs is no multiple of the batch, a batch has pairs of two epochs. Still pictures
    likewise. In place of a pair that cannot be read, one of a far epoch is taken.
    """

    def __init__(
        self, datasets: Sequence[Dataset], recipe: CosnetRecipe, *, group: ProcessGroup = SINGLE_PROCESS
    ) -> None:
        self.recipe = recipe
        self.group = group
        self.skips = Skips()
        every = [video for dataset in datasets for video in dataset]
        self.pairs = PairIndex([video for video in every if video.kind == "video"])
        self.stills = [video for video in every if video.kind == "image" and video.annotated]
        if not len(self.pairs):
            raise InputError(
                "nothing to make pairs of",
                why=f"no video among {len(every)} videos and pictures has two annotated frames",
                fix="add videos with annotations, such as DAVIS or TIANCHI: covos data inspect ROOT",
            )
        if recipe.still_every and not self.stills:
            raise InputError(
                "no still pictures to take turns with",
                why=f"the recipe asks for them, and all {len(every)} training videos are videos",
                fix="add a folder of images and masks to the data, or leave them out: " + setting("still_every", 0),
            )

    def __getitem__(self, step: int) -> PairBatch:
        share, every = self.recipe.batch // self.group.size, self.recipe.still_every
        still = is_still(step, every=every)
        turn = step // every if still else steps_on_pairs(step, every=every)
        first = turn * self.recipe.batch + self.group.rank * share
        read = self._still if still else self._pair
        beyond = ELSEWHERE * len(self.stills if still else self.pairs)
        parts = [
            self.skips.draw(lambda attempt, position=position: read(position + attempt * beyond))  # type: ignore[misc]
            for position in range(first, first + share)
        ]
        image, target, weight = (torch.from_numpy(np.stack(part)) for part in zip(*parts, strict=True))
        area = (target * weight).sum(dim=(0, 3, 4)) / weight.sum(dim=(0, 3, 4)).clamp(min=1)
        return PairBatch(image, target, weight, area.expand(share, -1, -1).contiguous())

    def _pair(self, position: int) -> tuple[NDArray[np.generic], ...]:
        epoch, index = divmod(position, len(self.pairs))
        video, *records = self.pairs[shuffled(index, count=len(self.pairs), key=(self.recipe.seed, epoch))]
        views = [
            self._view(
                video,
                record,
                outputs=self.recipe.outputs,
                # Drawn by the frame's place in the whole order: so it is the same however the steps are divided.
                rng=np.random.default_rng((self.recipe.seed, CHANGED, position, number)),
            )
            for number, record in enumerate(records)
        ]
        return tuple(np.stack(part) for part in zip(*views, strict=True))

    def _still(self, position: int) -> tuple[NDArray[np.generic], ...]:
        epoch, index = divmod(position, len(self.stills))
        order = shuffled(index, count=len(self.stills), key=(self.recipe.seed, epoch, STILL))
        video = self.stills[order]
        return tuple(part[None] for part in self._view(video, video.annotated[0], outputs=1))

    def _view(
        self, video: Video, record: FrameRecord, *, outputs: int, rng: np.random.Generator | None = None
    ) -> tuple[NDArray[np.generic], ...]:
        """Read image, target and weight, channels first; with a generator, cut out, mirrored and resampled."""
        if rng is None:
            return self._read(video, record, outputs=outputs, size=self.recipe.size, factor=1.0)
        height, width = self.recipe.size
        whole = math.ceil(height / self.recipe.crop_share), math.ceil(width / self.recipe.crop_share)
        factor = float(rng.uniform(*self.recipe.resample))
        rows, columns = draw_cut(whole, (height, width), rng=rng)
        step = -1 if rng.random() < self.recipe.flip_share else 1
        read = self._read(video, record, outputs=outputs, size=whole, factor=factor)
        image, *rest = (np.ascontiguousarray(part[:, rows, columns][..., ::step]) for part in read)
        return stretched(image) if self.recipe.stretch else image, *rest

    def _read(
        self, video: Video, record: FrameRecord, *, outputs: int, size: tuple[int, int], factor: float
    ) -> tuple[NDArray[np.generic], ...]:
        read_whole = factor != 1.0
        image = read_image(record, size=None if read_whole else size)
        image = (resampled(image, size=size, factor=factor) if read_whole else image).transpose(2, 0, 1)
        if outputs == 1:
            probability, valid = read_foreground(video, record, size=size)
            return image, probability[None], valid[None].astype(np.float32)
        labels = read_labels(video, record, size=size)
        if self.recipe.target == "colours":
            coloured = (davis_palette()[labels] / np.float32(255)).transpose(2, 0, 1)
            return image, coloured, (labels != VOID)[None].astype(np.float32)
        bits = np.stack([labels >> bit & 1 for bit in range(3)]).astype(np.float32)
        return image, bits, (labels <= CODED)[None].astype(np.float32)
