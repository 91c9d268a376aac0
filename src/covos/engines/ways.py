"""Ways from a frame to another: optical flows put on end, turned round, and followed by what lies in the other frame.

A way is a flow of any two frames: h x w x 2 float32, (x, y) in cells, from each cell of the one to its place in the
other. Those between neighbours are there already (`covos.engines.motion.Observed.flow`), because the network takes
them as an input.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate
from typing import Final, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.types import ImageArray
from covos.engines.flow import FlowArray

Value = TypeVar("Value", np.float32, np.uint8)

STEPS: Final = 2
"""Steps that turn a flow round: each looks up the flow where the last one led."""


def spanning(flow: FlowArray, before: FlowArray) -> FlowArray:
    """Return the flow of two on end: of that from a frame to another one, and of that from there."""
    return flow + moved(before, flow)


def spanned(flows: Iterable[FlowArray]) -> list[FlowArray]:
    """Return for each frame of some, one after the other, the flow from it to the frame before the first of them.

    The flows are those from each to the one just before it.
    """
    return list(accumulate(flows, lambda before, flow: spanning(flow, before)))


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


def moved(values: NDArray[Value], way: FlowArray) -> NDArray[Value]:
    """Return at each cell the value at the place that a flow leads to; beyond the edge, that at the edge.

    The values are float32 or uint8, h x w or h x w x channels.
    """
    return looked_up(values, places(way))


def places(way: FlowArray) -> FlowArray:
    """Return the places, (x, y), that a flow leads to from each cell."""
    rows, columns = way.shape[:2]
    at = way.copy()
    at[..., 0] += np.arange(columns, dtype=np.float32)
    at[..., 1] += np.arange(rows, dtype=np.float32)[:, None]
    return at


def looked_up(values: NDArray[Value], at: FlowArray) -> NDArray[Value]:
    """Return the values at places, see `moved`."""
    found = cv2.remap(values, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    return np.asarray(found)
