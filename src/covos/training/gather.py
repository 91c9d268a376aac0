"""Find the data sets below some folders, and choose what is trained on and what is measured on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from covos.core.errors import InputError, SourceError
from covos.data import Collection, Dataset, open_collection
from covos.data.splits import divide
from covos.evaluation.mask_trees import VIDEO_SUFFIXES
from covos.media.images import IMAGE_SUFFIXES


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """The data sets of a run; the videos to measure on, if there are any, are not trained on."""

    train: tuple[Dataset, ...]
    validation: Dataset | None


def gather(roots: Sequence[Path], *, seed: int, ratio: float = 0.0, videos: int = 0) -> TrainingData:
    """Find the data sets at or directly below each root and divide them.

    Each is divided by `covos.data.splits.divide`; the seed decides what is drawn, ``ratio`` divides a training list
    without a validation list beside it, and ``videos`` limits the training videos of each data set; 0 turns either off.
    """
    train: list[Dataset] = []
    validation: list[Dataset] = []
    for root in roots:
        for dataset in _open(root):
            kept, measured = divide(dataset, seed=seed, ratio=ratio, videos=videos)
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
