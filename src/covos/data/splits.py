"""Divide the videos of a data set at random, the same way on every machine."""

from __future__ import annotations

import hashlib

from covos.core.errors import UsageError
from covos.data.base import Dataset


def split_ratio(dataset: Dataset, *, ratio: float = 0.8, seed: int) -> tuple[Dataset, Dataset]:
    """Divide the videos into two parts, for training and validation.

    Which video goes where depends on its name, the other names and the seed, not on the order of files.

    Args:
        dataset: At least two videos.
        ratio: Share of the first part, between 0 and 1; each part gets at least one video.
        seed: Another seed, another division.

    Returns:
        The two parts: disjoint, together the whole, each in the data set's order.

    Raises:
        UsageError: There are fewer than two videos, or ``ratio`` is not between 0 and 1.
    """
    if not 0 < ratio < 1:
        raise UsageError(
            f"cannot split by the ratio {ratio}",
            why="it is the share of the videos that are trained on, between 0 and 1",
            fix="0.8 is common",
        )
    if len(dataset) < 2:
        raise UsageError(
            f"{dataset.root}: cannot split {len(dataset)} video into two parts",
            why="each part needs at least one video",
            fix="add videos, or validate on another data set",
        )
    count = min(max(round(ratio * len(dataset)), 1), len(dataset) - 1)
    names = _shuffled(dataset, seed)
    return dataset.subset(names[:count]), dataset.subset(names[count:])


def random_subset(dataset: Dataset, *, count: int, seed: int) -> Dataset:
    """Choose some of the videos at random; a larger count with the same seed keeps those of a smaller.

    Args:
        dataset: The data set.
        count: Number of videos, from 1 to all.
        seed: Another seed, other videos.

    Returns:
        The data set with these videos alone, in its order.

    Raises:
        UsageError: ``count`` is below 1 or above the number of videos.
    """
    if not 1 <= count <= len(dataset):
        raise UsageError(
            f"{dataset.root}: cannot take {count} videos at random",
            why=f"the data set has {len(dataset)}",
            fix=f"ask for 1 to {len(dataset)}",
        )
    return dataset.subset(_shuffled(dataset, seed)[:count])


def _shuffled(dataset: Dataset, seed: int) -> list[str]:
    # By hash, not by a random generator: neither the order of files nor the version of numpy can change the result.
    return sorted(
        (video.name for video in dataset),
        key=lambda name: hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest(),
    )
