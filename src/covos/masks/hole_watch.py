"""The holes to fill in the frames of a stream, as the frames around each tell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from covos.core.types import LabelArray, MaskArray
from covos.masks.edges import Edges
from covos.masks.frame_mask import labels_of
from covos.masks.holes import REACH, Holes
from covos.masks.rle import RLE
from covos.masks.window import Window

ItemT = TypeVar("ItemT")


class Masked(Protocol):
    """The masks of a frame, packed."""

    @property
    def index(self) -> int:
        """0-based position."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        ...

    @property
    def objects(self) -> Mapping[int, RLE]:
        """Mask of each object."""
        ...


MaskedT = TypeVar("MaskedT", bound=Masked)


class HoleWatch(Generic[ItemT]):
    """Tells which holes of frames are filled, once the frames after them have come.

    Args:
        edges: The changes of the edges.
        cuts: As of `covos.masks.window.Window`.
    """

    def __init__(self, edges: Edges, *, cuts: Sequence[int] = ()) -> None:
        self._edges = edges
        self._window = Window[tuple[ItemT, Holes]](REACH, cuts=cuts)

    def push(
        self, item: ItemT, labels: LabelArray, *, index: int, number: int
    ) -> Iterator[tuple[ItemT, MaskArray | None]]:
        """Take the next frame; give those that are told, as ``hole`` of `covos.masks.edges.Edges.apply`.

        Args:
            item: Anything of the frame; it is given back.
            labels: H x W uint8, before any edges are changed.
            index: Of the frame; higher than that of the one before.
            number: Of the frame in the whole source: of frames that were taken apart, none tells of another.
        """
        if not self._edges.watches_holes:
            yield item, None
            return
        held = item, self._edges.holes_of(labels)
        for ready in self._window.push(held, index=index, number=number, size=labels.shape):
            yield self._judged(*ready)

    def end(self) -> Iterator[tuple[ItemT, MaskArray | None]]:
        """Give the frames that still wait."""
        for ready in self._window.end():
            yield self._judged(*ready)

    def _judged(
        self, held: tuple[ItemT, Holes], near: list[tuple[int, tuple[ItemT, Holes]]]
    ) -> tuple[ItemT, MaskArray | None]:
        item, holes = held
        return item, self._edges.holes_in(holes, near=[(away, other) for away, (_, other) in near])


def watched(
    frames: Iterable[MaskedT], edges: Edges, *, cuts: Sequence[int] = (), every: int = 1
) -> Iterator[tuple[MaskedT, MaskArray | None]]:
    """Give each of the frames, in their order, with the holes in it to fill.

    Args:
        frames: Masks before any edges are changed, in any order.
        edges: The changes of the edges.
        cuts: As of `covos.masks.window.Window`.
        every: Frames of the whole source from one index to the next.

    Returns:
        Frame and H x W bool; None where it takes no other frame to tell.
    """
    watch = HoleWatch[MaskedT](edges, cuts=cuts)
    for frame in sorted(frames, key=lambda each: each.index):
        if edges.watches_holes:
            yield from watch.push(
                frame, labels_of(frame.objects, size=frame.size), index=frame.index, number=frame.index * every
            )
        else:
            yield frame, None
    yield from watch.end()
