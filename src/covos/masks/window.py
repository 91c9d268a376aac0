"""Frames as they come, each with those around it: in time, of its shot, of its size."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")


class Window(Generic[ItemT]):
    """Items of frames as they come, each given out with those around it once these have come.

    Args:
        reach: Frames on each side. Frames that lack between two count.
        cuts: Indices of the frames with which shots begin, ascending: frames of another shot are not around.
    """

    def __init__(self, reach: int, *, cuts: Sequence[int] = ()) -> None:
        self._reach, self._cuts = reach, cuts
        self._stretch: tuple[int, tuple[int, int]] | None = None
        """Shot and size of the frames that are held."""
        self._held: deque[tuple[int, ItemT]] = deque()
        self._next = 0
        """Place in ``_held`` of the item that is given out next."""

    def push(
        self, item: ItemT, *, index: int, size: tuple[int, int], number: int | None = None
    ) -> Iterator[tuple[ItemT, list[tuple[int, ItemT]]]]:
        """Take the next item; give those that have all around them, with how many frames away each of these is.

        Args:
            item: Anything of a frame.
            index: Of the frame; higher than that of the one before.
            size: (height, width) of the frame.
            number: Its place in time, as the number in a source of which some frames are taken; the index if not given.
        """
        number = index if number is None else number
        stretch = bisect_right(self._cuts, index), size
        if stretch != self._stretch:
            yield from self.end()
            self._stretch = stretch
        self._held.append((number, item))
        while self._next < len(self._held) and self._held[self._next][0] + self._reach <= number:
            yield self._take()

    def end(self) -> Iterator[tuple[ItemT, list[tuple[int, ItemT]]]]:
        """Give the items that still wait, and begin anew."""
        while self._next < len(self._held):
            yield self._take()
        self._held.clear()
        self._next = 0

    def _take(self) -> tuple[ItemT, list[tuple[int, ItemT]]]:
        number, item = self._held[self._next]
        while self._held[0][0] < number - self._reach:
            self._held.popleft()
            self._next -= 1
        aways = [(abs(other - number), each) for other, each in self._held]
        self._next += 1
        return item, [(away, each) for away, each in aways if 0 < away <= self._reach]
