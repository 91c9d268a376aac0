"""Choose videos of a data set at random, the same way on every machine, and frames of one video."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from covos.core.errors import AnnotationError, UsageError
from covos.data.base import Dataset, FrameRecord, Video


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
    return sorted((video.name for video in dataset), key=lambda name: in_random_order(name, seed=seed))


def in_random_order(name: str, *, seed: int) -> bytes:
    """Return what names are sorted by to bring them into an order that the seed decides."""
    return hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest()


def pairs(video: Video) -> Iterator[tuple[FrameRecord, FrameRecord]]:
    """Yield all combinations of two annotated frames, n (n - 1) / 2 of them, the earlier frame first."""
    return combinations(video.annotated, 2)


def sample_group(video: Video, *, size: int, rng: Generator, max_gap: int | None = None) -> tuple[FrameRecord, ...]:
    """Draw annotated frames of one video.

    The frames are distinct. Only if the video has fewer than ``size``, each is taken as often as the others, give or
    take one.

    Args:
        video: At least one annotated frame.
        size: Number of frames, at least 1.
        rng: Draws; the same state gives the same group.
        max_gap: The largest step from one frame of the group to the next, counted in annotated frames; None draws
            from the whole video.

    Returns:
        ``size`` frames in order of time.

    Raises:
        AnnotationError: The video has no annotated frame.
        ValueError: ``size`` or ``max_gap`` is below 1.
    """
    if size < 1 or (max_gap is not None and max_gap < 1):
        raise ValueError(f"size and max_gap must be at least 1, not {size} and {max_gap}")
    frames = video.annotated
    count = len(frames)
    if not count:
        raise _unannotated(video)
    if count <= size:
        times, rest = divmod(size, count)
        chosen = np.sort(np.concatenate((np.tile(np.arange(count), times), rng.choice(count, rest, replace=False))))
    elif max_gap is None:
        chosen = np.sort(rng.choice(count, size, replace=False))
    else:
        chosen = _with_gaps(count, size=size, max_gap=max_gap, rng=rng)
    return tuple(frames[int(index)] for index in chosen)


@dataclass(frozen=True, slots=True, kw_only=True)
class GuidedClip:
    """Frames of which the first is annotated, as an engine that follows seeds takes them.

    Attributes:
        first: The annotated frame.
        following: The frames after it. Some may be annotated: in YouTube-VOS an object may appear late, and its
            first annotation with it.
    """

    first: FrameRecord
    following: tuple[FrameRecord, ...]


def guided_clip(video: Video) -> GuidedClip:
    """Return the clip from the first annotated frame on.

    Raises:
        AnnotationError: The video has no annotated frame.
    """
    first = video.first_annotation
    if first is None:
        raise _unannotated(video)
    return GuidedClip(first=first, following=video.frames[video.frames.index(first) + 1 :])


def _with_gaps(count: int, *, size: int, max_gap: int, rng: Generator) -> NDArray[np.int64]:
    """Draw ``size`` of ``count`` positions, each 1 to ``max_gap`` after the one before; ``size`` < ``count``."""
    steps = np.ones(size - 1, np.int64)
    spare = count - size
    for index in range(size - 1):
        steps[index] += rng.integers(min(max_gap - 1, spare) + 1)
        spare -= int(steps[index]) - 1
    rng.shuffle(steps)  # the first steps had the most room
    start = rng.integers(spare + 1)
    return np.cumsum(np.concatenate(([start], steps)))


def _unannotated(video: Video) -> AnnotationError:
    return AnnotationError(
        f"{video.name} has no annotated frame",
        why=f"none of its {len(video.frames)} frames has an annotation of the same name",
        fix="leave the video out, or add its annotations",
    )
