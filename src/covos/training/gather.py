"""Find the data sets below some folders, and choose what is trained on and what is measured on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from covos.core.errors import InputError, SourceError, UsageError
from covos.data import Collection, Dataset, open_collection
from covos.data.base import in_random_order
from covos.data.splits import divide
from covos.evaluation.mask_trees import VIDEO_SUFFIXES
from covos.media.images import IMAGE_SUFFIXES
from covos.training.pools import only_held_back, without_held_back
from covos.training.validate import part_of_kind


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """The data sets of a run.

    Attributes:
        train: What is trained on.
        validation: What is measured on, none of which is trained on, unless ``overfit``: sets of videos, and of still
            pictures.
        overfit: Number of videos and of pictures that are both trained and measured on, on purpose; 0 for a usual run.
    """

    train: tuple[Dataset, ...]
    validation: tuple[Dataset, ...] = ()
    overfit: int = 0

    @property
    def videos(self) -> tuple[Dataset, ...]:
        """The videos to measure on, set by set."""
        return tuple(part for each in self.validation if (part := part_of_kind(each, "video")) is not None)

    @property
    def pictures(self) -> tuple[Dataset, ...]:
        """The still pictures to measure on, set by set."""
        return tuple(part for each in self.validation if (part := part_of_kind(each, "image")) is not None)


def gather(roots: Sequence[Path], *, seed: int, ratio: float = 0.0, videos: int = 0, overfit: int = 0) -> TrainingData:
    """Find the data sets at or directly below each root and divide them.

    Each is divided by `covos.data.splits.divide`; the seed decides what is drawn, ``ratio`` divides a training list
    without a validation list beside it, and ``videos`` limits the training videos of each data set; 0 turns either off.
    Of 200 still pictures or more, one in twenty is held back and measured on, see `covos.training.pools`.

    With ``overfit``, so many of the training videos, and so many of the still pictures if there are any, are all that
    is trained on, and they are measured on: of the undivided training lists of all data sets together, the first in an
    order that the seed decides.

    Raises:
        InputError: There is nothing to train on.
        UsageError: There are fewer videos than ``overfit``.
    """
    train: list[Dataset] = []
    validation: list[Dataset] = []
    for root in roots:
        for dataset in _open(root):
            kept, measured = divide(dataset, seed=seed, ratio=ratio, videos=videos, whole=bool(overfit))
            train += [kept] if len(kept) else []
            validation += [measured] if measured is not None and len(measured) else []
    if train and overfit:
        few = _first(train, count=overfit, seed=seed)
        return TrainingData(train=few, validation=few, overfit=overfit)
    apart = only_held_back(train)
    train = list(without_held_back(train))
    if not train:
        raise InputError(
            f"nothing to train on in {', '.join(map(str, roots))}",
            why="no data set there has annotated frames outside its validation list",
            fix="look at the folder with: covos data inspect ROOT",
        )
    return TrainingData(train=tuple(train), validation=(*validation, *apart))


def _first(datasets: Sequence[Dataset], *, count: int, seed: int) -> tuple[Dataset, ...]:
    """Choose so many videos, and at most so many still pictures, of all data sets together."""
    places = [(number, video) for number, dataset in enumerate(datasets) for video in dataset]
    places.sort(key=lambda place: in_random_order(f"{datasets[place[0]].name}/{place[1].name}", seed=seed))
    moving = [place for place in places if place[1].kind == "video"][:count]
    still = [place for place in places if place[1].kind == "image"][:count]
    if len(moving or still) < count:
        what = "videos" if moving else "pictures"
        raise UsageError(
            f"there are no {count} {what} to overfit on",
            why=f"the data to train on have {len(moving or still)}",
            fix=f"use --overfit {len(moving or still)}, which takes all of them, or fewer",
        )
    chosen = {(number, video.name) for number, video in (*moving, *still)}
    parts = (
        dataset.subset(video.name for video in dataset if (number, video.name) in chosen)
        for number, dataset in enumerate(datasets)
    )
    return tuple(part for part in parts if len(part))


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
