"""The reach of a click that corrects a mask: it changes what is no thicker than the place that was clicked.

People click in the middle of what is wrong. The wrong part is therefore about as thick there as the click lies deep. A
strap that is missing does not bring the girl who wears it, and a strap that is too much does not take her away. The
network's answer knows no such limit, and mostly changes good parts of the mask as well.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.types import MaskArray, Point
from covos.masks.distance import depth_in, distance_to

THICKER: Final = 1.25
"""A change is at most so many times as thick as the click lies deep: nobody clicks exactly in the middle."""
LEAST: Final = 0.01
"""Depth of any click, as a share of the height of the frame, at least: there are no finer clicks."""
NEARBY: Final = 2.0
"""Depths from a click to what changes in any case, be it as thick as it may."""


def within_reach(answer: MaskArray, previous: MaskArray, point: Point) -> MaskArray:
    """Return the connected part of a change round a click, without the parts that are thicker than the click is deep.

    Args:
        answer: H x W bool: the mask as the network has it.
        previous: H x W bool: the mask that is corrected.
        point: A click that this mask contradicts.

    Returns:
        H x W bool: the pixels that change; none if the answer contradicts the click as well.
    """
    wrong = previous ^ point.positive
    part = _part_at(wrong & ~(answer ^ point.positive), point)
    depth = max(THICKER * float(depth_in(wrong)[int(point.y), int(point.x)]), LEAST * len(previous))
    thick = distance_to(depth_in(part) > depth) <= depth
    if not (part & thick).any():
        return part
    if thick[int(point.y), int(point.x)]:
        return _part_at(part & (_from(point, part) <= NEARBY * depth), point)
    return _part_at(part & ~thick, point)


def _part_at(mask: MaskArray, point: Point) -> MaskArray:
    """Return the connected part of a mask that a point lies in; none if it lies in none."""
    _, parts = cv2.connectedComponents(mask.view(np.uint8), connectivity=8)
    number = parts[int(point.y), int(point.x)]
    part: MaskArray = (parts == number) & (number > 0)
    return part


def _from(point: Point, mask: MaskArray) -> NDArray[np.float64]:
    """Return how far each pixel of a mask's frame is from a point, in pixels."""
    rows, columns = np.ogrid[: mask.shape[0], : mask.shape[1]]
    return np.asarray(np.hypot(rows - int(point.y), columns - int(point.x)), np.float64)
