"""Deinterlace: make whole pictures of those that were taken as two fields, the odd and the even rows, in turn.

FFmpeg's bwdif does it, one picture for one, from the picture itself and its two neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias

import av
from av.filter import Graph

from covos.core.types import Deinterlace

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

    from covos.media.decoding import Decoded

_SMALLEST = 2
"""Pixels: the filter refuses pictures that are no wider, or no higher."""
_Indexed: TypeAlias = "tuple[int, Decoded]"


def with_neighbours(indices: Iterable[int], *, count: int) -> tuple[int, ...]:
    """Return the pictures that it takes to deinterlace these, ascending."""
    near = {index + step for index in indices for step in (-1, 0, 1)}
    return tuple(sorted(index for index in near if 0 <= index < count))


def deinterlaced(
    pictures: Iterable[_Indexed], *, choice: Deinterlace, warn: Callable[[str], None]
) -> Iterator[_Indexed]:
    """Yield the pictures with their indices, each that is to be deinterlaced after its successor was read.

    Others go through as they are, and at once. A picture depends on itself and on the indices right before and after
    it, on nothing else: so a picture that is sought comes out as in a full pass.
    """
    if choice == "off":
        for indexed in pictures:
            if indexed[1].picture.interlaced_frame:
                warn("the video is interlaced and is not deinterlaced: moving edges are combed")
            yield indexed
        return
    run: _Run | None = None
    held: _Indexed | None = None  # in the run, waits for its successor
    before: _Indexed | None = None
    every: Iterable[_Indexed | None] = chain(pictures, [None])
    for each in every:
        joined = each is not None and before is not None and _follow(before, each)
        if held is not None and run is not None:
            shown = run.push(each[1].picture) if joined and each is not None else run.end()
            yield held[0], replace(held[1], picture=_as(shown, held[1].picture))
            held = None
            run = run if joined else None
        if each is None:
            return
        if (choice == "on" or each[1].picture.interlaced_frame) and _has_rows(each[1].picture):
            warn("the video is interlaced: it is deinterlaced, in what is written, too")
            if run is None:
                run = _Run(each[1].picture, every=choice == "on")
                if joined and before is not None:
                    run.push(before[1].picture)
                run.push(each[1].picture)
            held = each
        else:
            run = None
            yield each
        before = each


def _follow(before: _Indexed, after: _Indexed) -> bool:
    return after[0] == before[0] + 1 and _kind(before[1].picture) == _kind(after[1].picture)


def _has_rows(picture: VideoFrame) -> bool:
    return min(picture.width, picture.height) > _SMALLEST


def _kind(picture: VideoFrame) -> tuple[int, int, str]:
    return picture.width, picture.height, picture.format.name


def _as(shown: VideoFrame, stored: VideoFrame) -> VideoFrame:
    """Give a picture back the times that the filter has changed."""
    shown.pts, shown.dts = stored.pts, stored.dts
    return shown


class _Run:
    """A filter for pictures of one kind, one right after the other."""

    def __init__(self, picture: VideoFrame, *, every: bool) -> None:
        self._graph = graph = Graph()
        graph.threads = 1
        # The time base is never used: each picture gets its own times back.
        source = graph.add_buffer(
            width=picture.width, height=picture.height, format=picture.format, time_base=Fraction(1, 1000)
        )
        filtering = graph.add("bwdif", mode="send_frame", parity="auto", deint="all" if every else "interlaced")
        sink = graph.add("buffersink")
        source.link_to(filtering)
        filtering.link_to(sink)
        graph.configure()
        self._begun = False

    def push(self, picture: VideoFrame) -> VideoFrame:
        """Take the next picture, and return the one before; at the first that one itself."""
        self._graph.push(picture)
        if not self._begun:
            self._begun = True
            return picture
        return self._pull()

    def end(self) -> VideoFrame:
        """Return the last picture."""
        self._graph.push(None)
        return self._pull()

    def _pull(self) -> VideoFrame:
        shown = self._graph.pull()
        assert isinstance(shown, av.VideoFrame)
        return shown
