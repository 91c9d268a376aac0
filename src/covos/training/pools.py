"""Videos and still pictures to draw from, and batches that are drawn of them.

The batch of a step depends on the seed, the step and the process alone: a run that is resumed sees what it would have
seen, and the number of loader processes changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from numpy.random import Generator
from torch.utils.data import Dataset as TorchDataset

from covos.data import Dataset, Video
from covos.errors import InputError
from covos.training.base import Recipe
from covos.training.distributed import ALONE, Team
from covos.training.held_back import without_held_back

BatchT = TypeVar("BatchT")
RecipeT = TypeVar("RecipeT", bound=Recipe)


@dataclass(frozen=True, slots=True)
class Pool:
    """Videos (or still pictures, as videos of one frame) to draw from, each with its chance."""

    videos: tuple[Video, ...]
    chances: tuple[float, ...]
    sets: tuple[range, ...]
    """Places in ``videos`` of each data set."""

    def draw(self, rng: Generator) -> Video:
        """Draw one."""
        return self.videos[self.place(rng)]

    def place(self, rng: Generator) -> int:
        """Draw the place of one."""
        return int(rng.choice(len(self.videos), p=self.chances))

    def beside(self, place: int, rng: Generator) -> Video:
        """Draw another of the data set that has this place: of the same kind, as far as data sets are of one."""
        (mates,) = (part for part in self.sets if place in part)
        return self.videos[int(rng.choice(mates))]


def make_pool(datasets: Sequence[Dataset], *, kind: str) -> Pool | None:
    """Pool all annotated videos of one kind; each data set by the square root of its size.

    The square root lies between equal shares, which would wear out the small sets, and shares by size, which would
    drown them.

    Args:
        datasets: To draw from.
        kind: ``"video"`` or ``"image"``.

    Returns:
        None if there is nothing of that kind.
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
    """The videos and the still pictures, see `make_pool`; without what is held back for measuring.

    Raises:
        InputError: There is neither.
    """
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
    """Item s is the batch of step s.

    Args:
        datasets: What to train on.
        recipe: Sizes, shares and the seed.
        team: Of processes that share each step; each draws its own frames.

    Raises:
        InputError: There is nothing to train on.
    """

    def __init__(self, datasets: Sequence[Dataset], recipe: RecipeT, *, team: Team = ALONE) -> None:
        self.recipe = recipe
        self.team = team
        self.moving, self.still = make_pools(datasets)

    def __len__(self) -> int:
        return self.recipe.steps
