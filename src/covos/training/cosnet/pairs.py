"""Every pair of annotated frames of many videos, by number, in an order that a seed decides.

The pairs of 560 videos of 150 frames are six million: none of them is written down. A number is turned into a pair by
arithmetic, and an order into another by a permutation that is computed a number at a time.
"""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from covos.data import FrameRecord, Video

ROUNDS = 4
"""Of the Feistel network: with four, a pseudo-random permutation (Luby & Rackoff, 1988)."""


class PairIndex(Sequence[tuple[Video, FrameRecord, FrameRecord]]):
    """The combinations of two annotated frames of each video, video by video, as a sequence.

    Args:
        videos: Those with fewer than two annotated frames have no pair.
    """

    def __init__(self, videos: Sequence[Video]) -> None:
        self._videos = [(video, video.annotated) for video in videos]
        self._ends = list(accumulate(math.comb(len(frames), 2) for _, frames in self._videos))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int) -> tuple[Video, FrameRecord, FrameRecord]:  # type: ignore[override]
        """The video, the earlier frame and the later frame of a pair."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        number = bisect_right(self._ends, index)
        video, frames = self._videos[number]
        first, second = nth_pair(index - (self._ends[number - 1] if number else 0))
        return video, frames[first], frames[second]


def nth_pair(index: int) -> tuple[int, int]:
    """The pair (i, j), i < j, of a number, ordered by j and then i: (0, 1), (0, 2), (1, 2), (0, 3) ..."""
    later = (math.isqrt(8 * index + 1) + 1) // 2
    return index - math.comb(later, 2), later


def shuffled(index: int, *, count: int, key: tuple[int, ...]) -> int:
    """Where a number goes in a random order of ``range(count)``; a bijection for each key.

    A Feistel network permutes the numbers of an even number of bits; numbers beyond ``count`` are permuted again until
    they lie below it (cycle walking: Black & Rogaway, 2002).

    Args:
        index: From 0 to ``count`` - 1.
        count: How many there are.
        key: Another key, another order.
    """
    half = max((max(count - 1, 1).bit_length() + 1) // 2, 1)
    mask = (1 << half) - 1
    while True:
        left, right = index >> half, index & mask
        for turn in range(ROUNDS):
            digest = hashlib.blake2b(repr((*key, turn, right)).encode(), digest_size=8).digest()
            left, right = right, left ^ int.from_bytes(digest, "little") & mask
        index = left << half | right
        if index < count:
            return index
