"""Edges and holes that do not flicker, by the frames around.

A frame's probability is brought together with its neighbours', along the motion; a hole is filled as in most of them.

Shape legend: ``H`` height, ``W`` width of a frame.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Generic, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.types import FrameResult, ImageArray, LabelArray, MaskArray, ProbabilityArray
from covos.engines.flow import dis_flow
from covos.masks.edges import Edges, relabelled
from covos.masks.holes import REACH, Holes

ItemT = TypeVar("ItemT")
ProgressT = TypeVar("ProgressT")

FLOW_HEIGHT = 240
"""Rows of the reduced pictures that the flow is found in."""
_ALIKE = 12.0
"""Levels of grey by which a place may differ from where it was in a neighbour and still count for a third."""


class Retoucher:
    """Changes the edges of results as they come, in order; some wait for the frames after them.

    Args:
        edges: The changes.
    """

    def __init__(self, edges: Edges) -> None:
        self._edges = edges
        self._steadied = Window[FrameResult](edges.smooth_time)
        self._watched = HoleWatch[FrameResult](edges)
        self._size: tuple[int, int] | None = None

    def push(self, result: FrameResult) -> Iterator[FrameResult]:
        """Take the next result; give those that have all the neighbours that they need."""
        if self._size not in (None, result.frame.size):
            yield from self.end()
        self._size = result.frame.size
        for ready in self._steadied.push(result):
            yield from self._filled(_steadied(*ready))

    def end(self) -> Iterator[FrameResult]:
        """Give the results that still wait."""
        for ready in self._steadied.end():
            yield from self._filled(_steadied(*ready))
        for clean, hole in self._watched.end():
            yield self._edges.after_holes.changed(clean, hole=hole)

    def _filled(self, result: FrameResult) -> Iterator[FrameResult]:
        if not self._edges.watches_holes:
            yield self._edges.changed(result)
            return
        clean = self._edges.before_holes.changed(result)
        for ready, hole in self._watched.push(clean, labels=clean.labels):
            yield self._edges.after_holes.changed(ready, hole=hole)


class HoleWatch(Generic[ItemT]):
    """Tells which holes of each frame are filled, by the frames around it; some frames wait for those after them.

    Frames of another size begin anew.

    Args:
        edges: The changes, which watch holes.
    """

    def __init__(self, edges: Edges) -> None:
        self._edges = edges
        self._window = Window[tuple[ItemT, Holes]](REACH)
        self._size: tuple[int, ...] | None = None

    def push(self, item: ItemT, *, labels: LabelArray) -> Iterator[tuple[ItemT, MaskArray]]:
        """Take the next frame, and its labels before holes are filled; give those that have all around them.

        Each comes with the pixels of its holes that are filled, H x W bool.
        """
        if self._size not in (None, labels.shape):
            yield from self.end()
        self._size = labels.shape
        for ready in self._window.push((item, Holes.of(labels))):
            yield self._judged(*ready)

    def end(self) -> Iterator[tuple[ItemT, MaskArray]]:
        """Give the frames that still wait."""
        for ready in self._window.end():
            yield self._judged(*ready)

    def _judged(
        self, watched: tuple[ItemT, Holes], near: list[tuple[int, tuple[ItemT, Holes]]]
    ) -> tuple[ItemT, MaskArray]:
        item, holes = watched
        return item, self._edges.holes_in(holes, near=[(away, other) for away, (_, other) in near])


class Window(Generic[ItemT]):
    """Items as they come, each given out with those around it once these have come.

    Args:
        reach: Items on each side.
    """

    def __init__(self, reach: int) -> None:
        self._reach = reach
        self._held: deque[ItemT] = deque()
        self._next = 0
        """Place in ``_held`` of the item that is given out next."""

    def push(self, item: ItemT) -> Iterator[tuple[ItemT, list[tuple[int, ItemT]]]]:
        """Take the next item; give the one that has all around it, with how far away each of them is."""
        self._held.append(item)
        if len(self._held) > self._next + self._reach:
            yield self._take()

    def end(self) -> Iterator[tuple[ItemT, list[tuple[int, ItemT]]]]:
        """Give the items that still wait, and begin anew."""
        while self._next < len(self._held):
            yield self._take()
        self._held.clear()
        self._next = 0

    def _take(self) -> tuple[ItemT, list[tuple[int, ItemT]]]:
        at = self._next
        item = self._held[at]
        near = [(abs(k - at), each) for k, each in enumerate(self._held) if 0 < abs(k - at) <= self._reach]
        self._next += 1
        if self._next > self._reach:
            self._held.popleft()
            self._next -= 1
        return item, near


def _steadied(result: FrameResult, near: list[tuple[int, FrameResult]]) -> FrameResult:
    if not near:
        return result
    soft, matte = steady(result, [each for _, each in near])
    return replace(result, probability=soft, labels=relabelled(result.labels, soft > 0.5), matte=matte)


def retouched(results: Iterator[FrameResult | ProgressT], edges: Edges) -> Iterator[FrameResult | ProgressT]:
    """Change the edges of all results of a source, in order; anything else is passed on."""
    retoucher = Retoucher(edges)
    for result in results:
        if isinstance(result, FrameResult):
            yield from retoucher.push(result)
        else:
            yield result
    yield from retoucher.end()


def steady(result: FrameResult, near: list[FrameResult]) -> tuple[ProbabilityArray, ProbabilityArray | None]:
    """Return the mean of a frame's probability and its neighbours', each moved to where its things are in this frame.

    A neighbour counts at a place as far as the picture there looks alike: what was hidden, or left the view, counts
    nothing, so that moving things leave no ghosts.

    Args:
        result: The frame.
        near: Neighbours of the same size.

    Returns:
        H x W float32 in [0, 1]; and the mean of the mattes, likewise, if there are any.
    """
    here = grey(result.frame.image)
    weight = np.ones(result.probability.shape, np.float32)
    total, mattes = result.probability.copy(), None if result.matte is None else result.matte.copy()
    for other in near:
        flow, alike = way_to(here, grey(other.frame.image))
        total += alike * moved_to(flow, other.probability)
        if mattes is not None:
            mattes += alike * moved_to(flow, other.probability if other.matte is None else other.matte)
        weight += alike
    total /= weight
    return total, None if mattes is None else mattes / weight


def grey(image: ImageArray) -> NDArray[np.uint8]:
    """Return a picture's brightness: H x W uint8."""
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)


def way_to(
    here: NDArray[np.uint8], there: NDArray[np.uint8], *, rows: int = FLOW_HEIGHT, refined: bool = True
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Find where each pixel of one grey picture is seen in another of its size.

    Args:
        here: H x W.
        there: H x W.
        rows: Rows of the reduced pictures that the flow is found in, at most.
        refined: See `covos.engines.flow.dis_flow`.

    Returns:
        The flow (x, y), H x W x 2 float32, in pixels; and how far the picture looks alike there, H x W float32 in
        [0, 1]. What was hidden, or has left the view, does not.
    """
    flow = _flow(here, there, rows=rows, refined=refined)
    away = cv2.absdiff(moved_to(flow, there), here).astype(np.float32) / _ALIKE
    return flow, np.exp(-np.square(away))


def _flow(here: NDArray[np.uint8], there: NDArray[np.uint8], *, rows: int, refined: bool) -> NDArray[np.float32]:
    height, width = here.shape
    factor = max(1.0, height / rows)
    size = max(16, round(width / factor)), max(16, round(height / factor))
    small = [np.asarray(cv2.resize(each, size, interpolation=cv2.INTER_AREA), np.uint8) for each in (here, there)]
    found = dis_flow(*small, refined=refined)
    flow = np.asarray(cv2.resize(found, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    return flow * np.array([width / size[0], height / size[1]], np.float32)


def moved_to(flow: NDArray[np.float32], values: NDArray[Any]) -> NDArray[Any]:
    """Move values by a flow: each place takes what lies where the flow points."""
    height, width = flow.shape[:2]
    columns = flow[..., 0] + np.arange(width, dtype=np.float32)
    rows = flow[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    return np.asarray(cv2.remap(values, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
