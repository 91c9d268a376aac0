"""Edges and holes that do not flicker, by the frames around.

A frame's probability is brought together with its neighbours', along the motion; a hole is filled as in most of them.

Shape legend: ``H`` height, ``W`` width of a frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.types import FrameResult, ImageArray, ProbabilityArray
from covos.engines.flow import dis_flow
from covos.engines.ways import moved
from covos.masks.distance import distance_to
from covos.masks.edges import Edges, relabelled
from covos.masks.hole_watch import HoleWatch
from covos.masks.matte import opacity_of
from covos.masks.window import Window

ProgressT = TypeVar("ProgressT")

FLOW_HEIGHT = 240
"""Rows of the reduced pictures that the flow is found in."""
_ALIKE = 12.0
"""Levels of grey by which a place may differ from where it was in a neighbour and still count for a third."""
EDGE = 3 / 480
"""Distance from a frame's own edge, over the height of the frame, up to which neighbours count in full; at twice this
distance they count nothing."""
_LEAST_EDGE = 3
"""The same in pixels, in small frames."""


class Retoucher:
    """Changes the edges of results as they come, in order; some wait for the frames after them.

    Args:
        edges: The changes.
        cuts: Indices of the frames with which shots begin, ascending: frames of another shot tell nothing.
    """

    def __init__(self, edges: Edges, *, cuts: Sequence[int] = ()) -> None:
        self._edges = edges
        self._steadied = Window[FrameResult](edges.smooth_time, cuts=cuts)
        self._watch = HoleWatch[FrameResult](edges, cuts=cuts)

    def push(self, result: FrameResult) -> Iterator[FrameResult]:
        """Take the next result; give those that have all the neighbours that they need."""
        for ready in self._steadied.push(result, index=result.frame.index, size=result.frame.size):
            yield from self._watched(_steadied(*ready))

    def end(self) -> Iterator[FrameResult]:
        """Give the results that still wait."""
        for ready in self._steadied.end():
            yield from self._watched(_steadied(*ready))
        for result, hole in self._watch.end():
            yield self._edges.changed(result, hole=hole)

    def _watched(self, steadied: FrameResult) -> Iterator[FrameResult]:
        for result, hole in self._watch.push(
            steadied, steadied.labels, index=steadied.frame.index, number=steadied.frame.number
        ):
            yield self._edges.changed(result, hole=hole)


def _steadied(result: FrameResult, near: list[tuple[int, FrameResult]]) -> FrameResult:
    if not near:
        return result
    soft, matte = steady(result, [each for _, each in near])
    return replace(result, probability=soft, labels=relabelled(result.labels, soft > 0.5), matte=matte)


def retouched(
    results: Iterator[FrameResult | ProgressT], edges: Edges, *, cuts: Sequence[int] = ()
) -> Iterator[FrameResult | ProgressT]:
    """Change the edges of all results of a source, in order; anything else is passed on. ``cuts`` as of `Retoucher`."""
    retoucher = Retoucher(edges, cuts=cuts)
    for result in results:
        if isinstance(result, FrameResult):
            yield from retoucher.push(result)
        else:
            yield result
    yield from retoucher.end()


def steady(result: FrameResult, near: list[FrameResult]) -> tuple[ProbabilityArray, ProbabilityArray | None]:
    """Return the mean of a frame's probability and its neighbours', each moved to where its things are in this frame.

    A neighbour counts at a place as far as the picture there looks alike: what was hidden, or left the view, counts
    nothing, so that moving things leave no ghosts. It counts near the frame's own edge alone: what is solid in this
    frame gets no holes from others.

    Args:
        result: The frame.
        near: Neighbours of the same size.

    Returns:
        H x W float32 in [0, 1]; and the mean of the mattes, likewise, if there are any.
    """
    here = grey(result.frame.image)
    weight = np.ones(result.probability.shape, np.float32)
    near_edge = _near_edge(result)
    total, mattes = result.probability.copy(), None if result.matte is None else result.matte.copy()
    for other in near:
        flow, alike = way_to(here, grey(other.frame.image))
        alike *= near_edge
        total += alike * moved(other.probability, flow)
        if mattes is not None:
            mattes += alike * moved(other.probability if other.matte is None else other.matte, flow)
        weight += alike
    total /= weight
    return total, None if mattes is None else mattes / weight


def _near_edge(result: FrameResult) -> NDArray[np.float32]:
    """Tell how near each pixel is to the edge of a frame's opacity: H x W float32, 1 at the edge, 0 far from it."""
    opacity = opacity_of(result.probability, result.labels) if result.matte is None else result.matte
    inside = (opacity > 0.5).view(np.uint8)
    cross = np.ones((3, 3), np.uint8)
    edge = (opacity > 0) & (opacity < 1) | (cv2.dilate(inside, cross) != cv2.erode(inside, cross))
    reach = max(_LEAST_EDGE, EDGE * opacity.shape[0])
    return np.asarray(np.clip(2 - distance_to(edge) / reach, 0, 1), np.float32)


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
    away = cv2.absdiff(moved(there, flow), here).astype(np.float32) / _ALIKE
    return flow, np.exp(-np.square(away))


def _flow(here: NDArray[np.uint8], there: NDArray[np.uint8], *, rows: int, refined: bool) -> NDArray[np.float32]:
    height, width = here.shape
    factor = max(1.0, height / rows)
    size = max(16, round(width / factor)), max(16, round(height / factor))
    small = [np.asarray(cv2.resize(each, size, interpolation=cv2.INTER_AREA), np.uint8) for each in (here, there)]
    found = dis_flow(*small, refined=refined)
    flow = np.asarray(cv2.resize(found, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    return flow * np.array([width / size[0], height / size[1]], np.float32)
