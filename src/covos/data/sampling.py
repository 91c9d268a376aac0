"""Choose frames of a video: pairs, random groups, and what follows the first annotation."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, combinations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from covos.core.errors import AnnotationError, UsageError
from covos.data.base import FrameRecord, checked_position
from covos.data.video import Video


def pairs(video: Video) -> Iterator[tuple[FrameRecord, FrameRecord]]:
    """Yield all combinations of two annotated frames, n (n - 1) / 2 of them, the earlier frame first."""
    return combinations(video.annotated, 2)


class PairIndex(Sequence[tuple[Video, FrameRecord, FrameRecord]]):
    """All combinations of two annotated frames of each video, video by video, as a sequence.

    The pairs of 560 videos of 150 frames are six million: none of them is written down, a number is turned into a pair
    by arithmetic.
    """

    def __init__(self, videos: Sequence[Video]) -> None:
        self._videos = [(video, video.annotated) for video in videos]
        self._ends = list(accumulate(math.comb(len(frames), 2) for _, frames in self._videos))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int) -> tuple[Video, FrameRecord, FrameRecord]:  # type: ignore[override]
        """Return the video, the earlier frame and the later frame of a pair."""
        index = checked_position(index, count=len(self), what="pair")
        number = bisect_right(self._ends, index)
        video, frames = self._videos[number]
        first, second = nth_pair(index - (self._ends[number - 1] if number else 0))
        return video, frames[first], frames[second]


def nth_pair(index: int) -> tuple[int, int]:
    """Return the pair (i, j), i < j, of a number, ordered by j and then i: (0, 1), (0, 2), (1, 2), (0, 3) ..."""
    later = (math.isqrt(8 * index + 1) + 1) // 2
    return index - math.comb(later, 2), later


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
        UsageError: ``size`` or ``max_gap`` is below 1.
    """
    if size < 1 or (max_gap is not None and max_gap < 1):
        raise UsageError(
            f"size and max_gap must be at least 1, not {size} and {max_gap}",
            why="a group has a frame, and the next one comes after it",
            fix="give 1 or more",
        )
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
