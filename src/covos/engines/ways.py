"""Ways from a frame to another: optical flows put on end, turned round, and followed by what lies in the other frame.

A way is a flow of any two frames: h x w x 2 float32, (x, y) in cells, from each cell of the one to its place in the
other. Those between neighbours are there already (`covos.engines.motion.Observed.flow`), because the network takes
them as an input.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.types import ImageArray
from covos.engines.flow import FlowArray

STEPS: Final = 2
"""Steps that turn a flow round: each looks up the flow where the last one led."""


def spanning(flow: FlowArray, before: FlowArray) -> FlowArray:
    """Return the flow of two on end: of that from a frame to another one, and of that from there."""
    return flow + moved(before, flow)


def turned_round(flow: FlowArray) -> FlowArray:
    """Return the flow to where another one comes from, on the grid of where it leads."""
    found = -flow
    for _ in range(STEPS):
        found = -moved(flow, found)
    return found


def in_cells(flow: FlowArray, size: tuple[int, int]) -> FlowArray:
    """Return a flow at another size (width, height), in its cells."""
    enlarged = np.asarray(cv2.resize(flow, size, interpolation=cv2.INTER_LINEAR), np.float32)
    return enlarged * np.float32(size[0] / flow.shape[1])


def view_in_cells(picture: ImageArray, size: tuple[int, int]) -> ImageArray:
    """Return a picture at the size (width, height) of cells."""
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def moved(values: NDArray[np.float32] | ImageArray, way: FlowArray) -> NDArray[np.float32]:
    """Return at each cell the value at the place that a flow leads to; beyond the edge, that at the edge."""
    return looked_up(values, places(way))


def places(way: FlowArray) -> FlowArray:
    """Return the places, (x, y), that a flow leads to from each cell."""
    return way + _cells(way.shape[:2])


def looked_up(values: NDArray[np.float32] | ImageArray, at: FlowArray) -> NDArray[np.float32]:
    """Return the values at places, see `moved`."""
    found = cv2.remap(values, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    return np.asarray(found)


@lru_cache(maxsize=8)
def _cells(shape: tuple[int, int]) -> FlowArray:
    """Return the place of each cell of a grid (rows, columns)."""
    rows, columns = shape
    x, y = np.meshgrid(np.arange(columns, dtype=np.float32), np.arange(rows, dtype=np.float32))
    return np.dstack([x, y])
