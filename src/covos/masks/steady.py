"""Edges that do not flicker: a frame's probability is brought together with its neighbours', along the motion.

Shape legend: ``H`` height, ``W`` width of a frame.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.types import FrameResult, ImageArray, ProbabilityArray
from covos.masks.edges import Edges, relabelled

ProgressT = TypeVar("ProgressT")

_FLOW_HEIGHT = 240
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
        self._seen: deque[FrameResult] = deque()
        self._next = 0
        """Place in ``_seen`` of the frame that is given out next."""

    def push(self, result: FrameResult) -> Iterator[FrameResult]:
        """Take the next result; give those that have all the neighbours that they need."""
        reach = self._edges.smooth_time
        if not reach:
            yield self._changed(result)
            return
        if self._seen and self._seen[-1].frame.size != result.frame.size:
            yield from self.end()
        self._seen.append(result)
        if len(self._seen) > self._next + reach:
            yield self._steady()

    def end(self) -> Iterator[FrameResult]:
        """Give the results that still wait."""
        while self._next < len(self._seen):
            yield self._steady()
        self._seen.clear()
        self._next = 0

    def _steady(self) -> FrameResult:
        reach, at = self._edges.smooth_time, self._next
        result = self._seen[at]
        near = [each for place, each in enumerate(self._seen) if 0 < abs(place - at) <= reach]
        soft = steady(result, near)
        self._next += 1
        if self._next > reach:
            self._seen.popleft()
            self._next -= 1
        return self._changed(replace(result, probability=soft, labels=relabelled(result.labels, soft > 0.5)))

    def _changed(self, result: FrameResult) -> FrameResult:
        if not self._edges.changes_frames:
            return result
        labels, probability = self._edges.apply(result.labels, result.probability)
        return replace(result, labels=labels, probability=probability)


def retouched(results: Iterator[FrameResult | ProgressT], edges: Edges) -> Iterator[FrameResult | ProgressT]:
    """Change the edges of all results of a source, in order; anything else is passed on."""
    retoucher = Retoucher(edges)
    for result in results:
        if isinstance(result, FrameResult):
            yield from retoucher.push(result)
        else:
            yield result
    yield from retoucher.end()


def steady(result: FrameResult, near: list[FrameResult]) -> ProbabilityArray:
    """Return the mean of a frame's probability and its neighbours', each moved to where its things are in this frame.

    A neighbour counts at a place as far as the picture there looks alike: what was hidden, or left the view, counts
    nothing, so that moving things leave no ghosts.

    Args:
        result: The frame.
        near: Neighbours of the same size.

    Returns:
        H x W float32 in [0, 1].
    """
    here = _grey(result.frame.image)
    total, weight = result.probability.copy(), np.ones(result.probability.shape, np.float32)
    for other in near:
        there = _grey(other.frame.image)
        flow = _flow(here, there)
        moved = _moved_to(flow, other.probability)
        alike = np.exp(-np.square(cv2.absdiff(_moved_to(flow, there), here).astype(np.float32) / _ALIKE))
        total += alike * moved
        weight += alike
    return np.asarray(total / weight, np.float32)


def _grey(image: ImageArray) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)


def _flow(here: NDArray[np.uint8], there: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Find where each pixel of here is seen there: H x W x 2 float32, (x, y)."""
    height, width = here.shape
    factor = max(1.0, height / _FLOW_HEIGHT)
    size = max(16, round(width / factor)), max(16, round(height / factor))
    small = [np.asarray(cv2.resize(each, size, interpolation=cv2.INTER_AREA), np.uint8) for each in (here, there)]
    # Made anew each time: it keeps its pyramids, and one of them must not serve two threads.
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    found = np.asarray(dis.calc(small[0], small[1], None), np.float32)  # type: ignore[call-overload]
    flow = np.asarray(cv2.resize(found, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    return flow * np.array([width / size[0], height / size[1]], np.float32)


def _moved_to(flow: NDArray[np.float32], values: NDArray[Any]) -> NDArray[Any]:
    height, width = flow.shape[:2]
    columns = flow[..., 0] + np.arange(width, dtype=np.float32)
    rows = flow[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    return np.asarray(cv2.remap(values, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
