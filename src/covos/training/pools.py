"""Videos and still pictures to draw from, and batches that are drawn of them.

The batch of a step depends on the seed, the step and the process alone: a run that is resumed sees what it would have
seen, and the number of loader processes changes nothing.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from numpy.random import Generator
from torch.utils.data import Dataset as TorchDataset

from covos.core.errors import InputError, SourceError
from covos.data import Collection, Dataset, Video, open_collection, random_subset, split_ratio
from covos.evaluation.mask_trees import VIDEO_SUFFIXES
from covos.media.images import IMAGE_SUFFIXES
from covos.training.distributed import SINGLE_PROCESS, ProcessGroup
from covos.training.recipe import Recipe

# Pictures that no training draws, so that test clips can be composed of them.
#
# Which ones is decided by their names alone: on every machine, in every run and whatever else is in the folder.

ONE_IN = 20
"""So many pictures give one that is held back."""
LEAST = 200
"""Smaller sets are trained on whole: their pictures are dear, and ten of them would test little."""


def held_back(name: str) -> bool:
    """Whether a picture of this name is held back, in a data set that is large enough for it."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") % ONE_IN == 0


def without_held_back(datasets: Iterable[Dataset]) -> tuple[Dataset, ...]:
    """The data sets without the pictures that are held back; doing it twice changes nothing more.

    Args:
        datasets: Videos are left as they are, and so are sets of fewer than `LEAST` pictures.
    """
    return tuple(_without(dataset, _names(dataset)) for dataset in datasets)


def only_held_back(datasets: Iterable[Dataset]) -> tuple[Dataset, ...]:
    """The pictures that `without_held_back` takes away; sets without any are left out."""
    parts = (dataset.subset(_names(dataset)) for dataset in datasets)
    return tuple(part for part in parts if len(part))


def _names(dataset: Dataset) -> frozenset[str]:
    pictures = [video.name for video in dataset if video.kind == "image" and video.annotated]
    if len(pictures) < LEAST:
        return frozenset()
    return frozenset(name for name in pictures if held_back(name))


def _without(dataset: Dataset, names: frozenset[str]) -> Dataset:
    return dataset.subset(video.name for video in dataset if video.name not in names) if names else dataset


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
        group: Processes that share each step; each draws its own frames.

    Raises:
        InputError: There is nothing to train on.
    """

    def __init__(self, datasets: Sequence[Dataset], recipe: RecipeT, *, group: ProcessGroup = SINGLE_PROCESS) -> None:
        self.recipe = recipe
        self.group = group
        self.moving, self.still = make_pools(datasets)

    def __len__(self) -> int:
        return self.recipe.steps


# Which of the data sets below some roots are trained on, and which are measured on.

TRAIN_SUBSETS = ("train",)
VALIDATION_SUBSETS = ("val_open", "val", "valid", "validation")
RATIO = 0.8
"""Of the videos of a data set without lists, how many are trained on; the seed's ratio."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """What a run trains and measures on.

    Attributes:
        train: Data sets with annotations.
        validation: Annotated videos, none of which is trained on; None if there are no videos.
    """

    train: tuple[Dataset, ...]
    validation: Dataset | None


def gather(roots: Sequence[Path], *, seed: int, ratio: float = 0.0, videos: int = 0) -> TrainingData:
    """Find the data sets at or directly below each root and divide them.

    A data set that lists its subsets is trained on by its ``train`` list and measured on by the first list there is
    of `VALIDATION_SUBSETS`; whatever else it lists is left alone, and a set that lists none but the latter is not
    trained on at all. One without lists is trained on whole if it holds
    still pictures, and divided by ratio if it holds several videos.

    Args:
        roots: Data sets, or folders of data sets.
        seed: Of what is drawn: which videos are trained on where a ratio divides them, and which are used at all.
        ratio: Divide a training list too, where there is no validation list beside it; 0 trains on the whole list.
        videos: Use so many of each data set's training videos, or all if it has fewer; 0 uses all.

    Raises:
        InputError: Nothing to train on.
    """
    train: list[Dataset] = []
    validation: list[Dataset] = []
    for root in roots:
        for dataset in _open(root):
            kept, measured = _divide(dataset, seed=seed, ratio=ratio, videos=videos)
            train += [kept] if len(kept) else []
            validation += [measured] if measured is not None and len(measured) else []
    if not train:
        raise InputError(
            f"nothing to train on in {', '.join(map(str, roots))}",
            why="no data set there has annotated frames outside its validation list",
            fix="look at the folder with: covos data inspect ROOT",
        )
    return TrainingData(train=tuple(train), validation=validation[0] if validation else None)


def _open(root: Path) -> Collection:
    try:
        return open_collection(root)
    except SourceError as error:
        inside = sorted(path for pattern in ("*", "*/*") for path in root.glob(pattern))
        videos = [path for path in inside if path.suffix.lower() in VIDEO_SUFFIXES]
        pictures = [path for path in inside if path.suffix.lower() in IMAGE_SUFFIXES]
        if videos:
            first = videos[0]
            raise SourceError(
                f"{root}: it holds videos, and training reads frames with masks",
                why=f"such as {first.name}; no data set was found",
                fix=f"write frames with: ffmpeg -i {first.name} -start_number 0 JPEGImages/{first.stem}/%05d.jpg, and "
                f"masks of the same names to Annotations/{first.stem}/00000.png ...; see docs/training.md",
            ) from error
        if pictures:
            raise SourceError(
                f"{root}: it holds pictures, but no masks that belong to them",
                why=f"such as {pictures[0].relative_to(root)}; no data set was found",
                fix="name them alike: images/a.jpg with masks/a.png, or of a video JPEGImages/clip/00000.jpg "
                "with Annotations/clip/00000.png",
            ) from error
        raise


def _divide(dataset: Dataset, *, seed: int, ratio: float, videos: int) -> tuple[Dataset, Dataset | None]:
    usable = dataset.subset(video.name for video in dataset if video.annotated)
    moving = all(video.kind == "video" for video in usable)
    splits = usable.splits
    listed = any(name in splits for name in (*TRAIN_SUBSETS, *VALIDATION_SUBSETS))
    validation = next((usable.subset(splits[name]) for name in VALIDATION_SUBSETS if name in splits), None)
    train = usable
    if listed:
        train = usable.subset(name for subset in TRAIN_SUBSETS for name in splits.get(subset, ()))
    if moving and 0 < videos < len(train):
        train = random_subset(train, count=videos, seed=seed)
    share = ratio if listed or ratio else RATIO
    if validation is None and moving and share and len(train) > 1:
        return split_ratio(train, ratio=share, seed=seed)
    return train, validation
