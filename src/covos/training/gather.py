"""Choose what is trained on and what is measured on: of data sets that are open, and of those below some folders."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from covos.core.errors import InputError, SourceError, UsageError, listed
from covos.core.places import Place
from covos.core.progress import counted
from covos.core.words import Words
from covos.data import Collection, Dataset, Video, open_collection
from covos.data.base import in_random_order
from covos.data.splits import divide
from covos.media.images import IMAGE_SUFFIXES
from covos.media.listing import VIDEO_SUFFIXES
from covos.training.pools import only_held_back, without_held_back
from covos.training.validate import frames_to_score, part_of_kind

Data: TypeAlias = str | os.PathLike[str] | Dataset
"""Something to train on: a folder, or a data set that is open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """The data sets of a run.

    Attributes:
        train: What is trained on.
        validation: What is measured on, none of which is trained on, unless ``overfit``: sets of videos, and of still
            pictures.
        overfit: Number of videos and of pictures that are both trained and measured on, on purpose; 0 for a usual run.
        unmeasured: A line for each data set whose videos are held back, and not measured on, with the reason.
    """

    train: tuple[Dataset, ...]
    validation: tuple[Dataset, ...] = ()
    overfit: int = 0
    unmeasured: tuple[str, ...] = ()

    @property
    def videos(self) -> tuple[Dataset, ...]:
        """The videos to measure on, set by set."""
        return tuple(part for each in self.validation if (part := part_of_kind(each, "video")) is not None)

    @property
    def pictures(self) -> tuple[Dataset, ...]:
        """The still pictures to measure on, set by set."""
        return tuple(part for each in self.validation if (part := part_of_kind(each, "image")) is not None)


def gather(
    sources: Sequence[Data],
    *,
    seed: int,
    ratio: float = 0.0,
    videos: int = 0,
    overfit: int = 0,
    validation: Sequence[Dataset] | None = None,
    pictures: bool = True,
    moving: bool = True,
) -> TrainingData:
    """Take data sets that are open, and find those at or directly below each folder, and divide them.

    Each is divided by `covos.data.splits.divide`; the seed decides what is drawn, ``ratio`` divides a training list
    without a validation list beside it, and ``videos`` limits the training videos of each data set; 0 turns either off.
    If there are 200 still pictures or more, one in twenty is held back and measured on, see `covos.training.pools`.

    With ``overfit``, so many of the training videos, and so many of the still pictures if there are any, are all that
    is trained on, and they are measured on: of the undivided training lists of all data sets together, the first in an
    order that the seed decides.

    With ``validation``, nothing is divided: an open data set is trained on whole, of a folder its training list is, and
    these data sets are what is measured on. If there are none, nothing is measured.

    Without ``pictures``, still pictures are not measured on, and without ``moving``, videos are not; those that are
    held back are not trained on either, so that all networks are trained on the same. A data set none of whose videos
    can be scored is left out likewise: to measure on it would only end the run.

    Raises:
        InputError: There is nothing to train on.
        UsageError: There are fewer videos than ``overfit``, or something is both trained and measured on.
    """
    train: list[Dataset] = []
    measured_on: list[Dataset] = []
    for source in sources:
        for dataset in [source] if isinstance(source, Dataset) else _open(os.fspath(source)):
            if validation is not None and isinstance(source, Dataset):
                kept, measured = _some_of(_annotated(dataset), videos=videos, seed=seed), None
            else:
                whole = bool(overfit) or validation is not None
                kept, measured, _ = divide(dataset, seed=seed, ratio=ratio, videos=videos, whole=whole)
            train += [kept] if len(kept) else []
            measured_on += [measured] if measured is not None and len(measured) else []
    if validation is not None:
        measured_on = [part for each in validation if len(part := _annotated(each))]
        _refuse_both(train, measured_on)
    if train and overfit:
        train = list(_first(train, count=overfit, seed=seed))
        return _data_of(train, train, pictures=pictures, moving=moving, overfit=overfit)
    apart = only_held_back(train)
    train = list(without_held_back(train))
    if not train:
        raise InputError(
            f"nothing to train on in {', '.join(map(_root_of, sources))}",
            why="no data set there has annotated frames outside its validation list",
            fix="look at the folder with: covos data inspect ROOT",
        )
    measured_on += apart if validation is None else ()
    return _data_of(train, measured_on, pictures=pictures, moving=moving)


def _data_of(
    train: Sequence[Dataset], held_back: Sequence[Dataset], *, pictures: bool, moving: bool, overfit: int = 0
) -> TrainingData:
    """Return the data of a run, which measures on what it can of the sets that are held back for it."""
    data = TrainingData(train=tuple(train), validation=tuple(held_back), overfit=overfit)
    if not pictures:
        data = replace(data, validation=data.videos)
    kept: list[Dataset] = []
    lines: list[str] = []
    for each in data.validation:
        videos = part_of_kind(each, "video")
        reason = None if videos is None else _unmeasurable(videos, moving=moving)
        lines += [] if reason is None else [f"nothing is measured on the videos of {each.name}: {reason}"]
        part = each if reason is None else part_of_kind(each, "image")
        kept += [] if part is None else [part]
    return replace(data, validation=tuple(kept), unmeasured=tuple(lines))


def _unmeasurable(videos: Dataset, *, moving: bool) -> str | None:
    """Return why the videos of a data set say nothing of a network; None if they do."""
    if not moving:
        return "their masks cannot say how good this network is"
    if not any(frames_to_score(video.frames, every=1) for video in videos):
        return "none has an annotated frame between its first and its last"
    return None


def _root_of(source: Data) -> str:
    return str(source.root if isinstance(source, Dataset) else source)


def _annotated(dataset: Dataset) -> Dataset:
    return replace(dataset, videos=tuple(video for video in dataset if video.annotated))


def _some_of(dataset: Dataset, *, videos: int, seed: int) -> Dataset:
    moving = all(video.kind == "video" for video in dataset)
    return dataset.random(videos, seed=seed) if moving and 0 < videos < len(dataset) else dataset


def _refuse_both(train: Iterable[Dataset], validation: Iterable[Dataset]) -> None:
    """Refuse frames that are both trained and measured on: by their files, whatever the data sets are called."""
    trained = {file for video in _videos_of(train) for file in _masks_of(video)}
    twice = [video.name for video in _videos_of(validation) if not trained.isdisjoint(_masks_of(video))]
    if twice:
        raise UsageError(
            f"{counted(len(twice), 'video')} would be both trained and measured on: {listed(twice, shown=4)}",
            why="a network scores well on what it was trained on, whatever it is worth",
            fix="divide them: train, val = dataset.split(0.8, seed=0); to overfit on purpose give overfit=N and no "
            "validation",
        )


def _videos_of(datasets: Iterable[Dataset]) -> Iterator[Video]:
    return (video for dataset in datasets for video in dataset)


def _masks_of(video: Video) -> list[Place]:
    return [record.annotation for record in video.frames if record.annotation is not None]


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
            fix="use "
            + Words(f"--overfit {len(moving or still)}", python=f"overfit={len(moving or still)}")
            + ", which takes all of them, or fewer",
        )
    chosen = {(number, video.name) for number, video in (*moving, *still)}
    parts = (
        dataset.subset(video.name for video in dataset if (number, video.name) in chosen)
        for number, dataset in enumerate(datasets)
    )
    return tuple(part for part in parts if len(part))


def _open(given: str) -> Collection:
    try:
        return open_collection(given)
    except SourceError as error:
        root = Path(given)
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
