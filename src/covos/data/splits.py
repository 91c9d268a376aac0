"""The parts of a data set that a training trains on and measures on."""

from __future__ import annotations

from typing import NamedTuple

from covos.data.dataset import Dataset

TRAIN_SUBSETS = ("train",)
VALIDATION = "val"
"""The name by which any list to measure on can be asked for."""
VALIDATION_SUBSETS = ("val_open", "val", "valid", "validation")
RATIO = 0.8
"""Share of the videos that are trained on, in a data set without lists."""


class Parts(NamedTuple):
    """A data set as a training divides it; videos to measure on are not trained on. No video without annotation."""

    train: Dataset
    validation: Dataset | None
    listed: str | None = None
    """The list of the data set that the validation is; None where videos were divided off, or there is none."""


def divide(dataset: Dataset, *, seed: int, ratio: float = 0.0, videos: int = 0, whole: bool = False) -> Parts:
    """Divide a data set as a training does.

    A data set that lists its subsets is trained on by its ``train`` list and measured on by the first list there is of
    `VALIDATION_SUBSETS`; whatever else it lists is left alone, and a set that lists none but the latter is not trained
    on at all. One without lists is trained on whole if it holds still pictures, and divided by ratio if it holds
    several videos.

    Args:
        dataset: Opened without a subset.
        seed: Decides what is drawn.
        ratio: Divides a training list too, where there is no validation list beside it; 0 leaves it whole.
        videos: The most videos to train on; 0 sets no limit.
        whole: If true, a training list is never divided.
    """
    usable = dataset.subset(video.name for video in dataset if video.annotated)
    moving = all(video.kind == "video" for video in usable)
    splits = usable.splits
    listed = any(name in splits for name in (*TRAIN_SUBSETS, *VALIDATION_SUBSETS))
    own = validation_list(usable)
    train = usable
    if listed:
        train = usable.subset(name for subset in TRAIN_SUBSETS for name in splits.get(subset, ()))
    if moving and 0 < videos < len(train):
        train = train.random(videos, seed=seed)
    share = ratio if listed or ratio else RATIO
    if own is None and moving and share and len(train) > 1 and not whole:
        return Parts(*train.split(share, seed=seed))
    return Parts(train, None if own is None else usable.subset(splits[own]), own)


def validation_list(dataset: Dataset) -> str | None:
    """Return the name of the list that a data set is measured on: the first there is of `VALIDATION_SUBSETS`."""
    return next((name for name in VALIDATION_SUBSETS if name in dataset.splits), None)
