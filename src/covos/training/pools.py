"""Draw batches from videos and still pictures.

The batch of a step depends on the seed, the step and the process alone. A run that is resumed sees the same batches,
and the number of loader processes changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from numpy.random import Generator
from torch.utils.data import Dataset as TorchDataset

from covos.core.errors import InputError
from covos.data import Dataset, Video
from covos.data.base import digest_of
from covos.training.distributed import SINGLE_PROCESS, ProcessGroup
from covos.training.recipe import Recipe
from covos.training.skipping import Skips

ONE_IN = 20
"""One of so many pictures is held back: no training draws it, so that test clips can be composed of it.

The names of the pictures alone decide which ones: on every machine, in every run, whatever else is in the folder.
"""
LEAST = 200
"""Sets of fewer pictures are trained on whole: their pictures are dear, and ten of them would test little."""


def held_back(name: str) -> bool:
    """Return True if a picture of this name is held back, in a data set that is large enough for it."""
    return int.from_bytes(digest_of(name), "big") % ONE_IN == 0


def without_held_back(datasets: Iterable[Dataset]) -> tuple[Dataset, ...]:
    """Return the data sets without the pictures that are held back; a second time changes nothing more.

    Videos are left as they are, and so are sets of fewer than `LEAST` pictures.
    """
    return tuple(
        dataset.subset(video.name for video in dataset if video.name not in names) if names else dataset
        for dataset, names in ((dataset, _names(dataset)) for dataset in datasets)
    )


def only_held_back(datasets: Iterable[Dataset]) -> tuple[Dataset, ...]:
    """Return the pictures that `without_held_back` takes away; sets without any are left out."""
    parts = (dataset.subset(_names(dataset)) for dataset in datasets)
    return tuple(part for part in parts if len(part))


def _names(dataset: Dataset) -> frozenset[str]:
    pictures = [video.name for video in dataset if video.kind == "image" and video.annotated]
    if len(pictures) < LEAST:
        return frozenset()
    return frozenset(name for name in pictures if held_back(name))


BatchT = TypeVar("BatchT")
RecipeT = TypeVar("RecipeT", bound=Recipe)


@dataclass(frozen=True, slots=True)
class Pool:
    """Videos (or still pictures, as videos of one frame) to draw from, each with its probability."""

    videos: tuple[Video, ...]
    chances: tuple[float, ...]
    sets: tuple[range, ...]
    """The indices into ``videos`` of each data set."""

    def draw(self, rng: Generator) -> Video:
        """Draw a video."""
        return self.videos[self.place(rng)]

    def place(self, rng: Generator) -> int:
        """Draw the index of a video."""
        return int(rng.choice(len(self.videos), p=self.chances))

    def beside(self, place: int, rng: Generator) -> Video:
        """Draw another video of the data set that has this index."""
        (mates,) = (part for part in self.sets if place in part)
        return self.videos[int(rng.choice(mates))]


def make_pool(datasets: Sequence[Dataset], *, kind: str) -> Pool | None:
    """Pool all annotated videos of one kind; each data set by the square root of its size.

    The square root lies between equal shares, which would wear out the small sets, and shares by size, which would
    drown them.
    """
    videos: list[Video] = []
    chances: list[float] = []
    sets: list[range] = []
    for dataset in datasets:
        usable = [video for video in dataset if video.kind == kind and video.annotated]
        sets += [range(len(videos), len(videos) + len(usable))] if usable else []
        videos += usable
        chances += [1 / math.sqrt(len(usable))] * len(usable) if usable else []
    total = sum(chances)
    return Pool(tuple(videos), tuple(chance / total for chance in chances), tuple(sets)) if videos else None


def make_pools(datasets: Sequence[Dataset]) -> tuple[Pool | None, Pool | None]:
    """Pool the videos and the still pictures, see `make_pool`, without those that are held back for measuring."""
    datasets = without_held_back(datasets)
    moving, still = make_pool(datasets, kind="video"), make_pool(datasets, kind="image")
    if moving is None and still is None:
        raise InputError(
            "nothing to train on",
            why="the data sets have no annotated frame",
            fix="look at them with: covos data inspect ROOT",
        )
    return moving, still


class DrawnBatches(TorchDataset[BatchT], Generic[BatchT, RecipeT]):
    """Item s is the batch of step s, of which each process of a group draws its own frames.

    ``skips`` draws again where a file cannot be read; what it draws then comes from the same random numbers.
    """

    def __init__(self, datasets: Sequence[Dataset], recipe: RecipeT, *, group: ProcessGroup = SINGLE_PROCESS) -> None:
        self.recipe = recipe
        self.group = group
        self.skips = Skips()
        self.moving, self.still = make_pools(datasets)

    def __len__(self) -> int:
        return self.recipe.steps
