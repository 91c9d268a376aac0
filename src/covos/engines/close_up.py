"""Close-ups: a network looks at a part of a frame again, magnified, where what is meant is small.

A frame is encoded at one area, whatever it shows, so a small thing covers few cells. A close-up is a part of the frame
with the frame's aspect, encoded at the whole frame's size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from covos.core.types import MaskArray, Point
from covos.engines.motion import Observed

SHARES = (0.6, 0.4)
"""Sides of the close-ups of a first click, in sides of the frame."""
MARGIN = 1.5
"""Sides of a close-up of a mask, in sides of the box around it."""
LEAST, MOST = 0.12, 0.75
"""A close-up has at least this share of the frame's sides; from the other on, it would show nothing that is new."""


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a frame, in its pixels: rows ``top`` to ``top + height``, columns ``left`` to ``left + width``."""

    top: int
    left: int
    height: int
    width: int

    @property
    def cells(self) -> tuple[slice, slice]:
        """Rows and columns, to index an array of the frame's size."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)

    def points(self, points: Sequence[Point]) -> list[Point]:
        """Return the points that lie in it, in its own pixels."""
        rows, columns = self.cells
        return [
            replace(each, x=each.x - self.left, y=each.y - self.top)
            for each in points
            if columns.start <= int(each.x) < columns.stop and rows.start <= int(each.y) < rows.stop
        ]

    def look(self, observed: Observed) -> Observed:
        """Return this part of a frame as a frame of its own; its motion is what was found in the whole."""
        height, width = observed.frame.size
        image = np.ascontiguousarray(observed.frame.image[self.cells])
        frame = replace(
            observed.frame, image=image, alpha=None, bare=None, source_size=None, deep=None, coded=None, hdr=None
        )
        motion = observed.motion
        if motion is not None:
            rows, columns = motion.shape[:2]
            x, y = self.width / width, self.height / height
            # From the middle of a cell to the middle of a cell.
            back = np.array(
                [
                    [x, 0, self.left / width * columns + (x - 1) / 2],
                    [0, y, self.top / height * rows + (y - 1) / 2],
                ]
            )
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            motion = np.asarray(
                cv2.warpAffine(motion, back, (columns, rows), flags=flags, borderMode=cv2.BORDER_REPLICATE), np.float32
            )
        return Observed(frame=frame, motion=motion)


def windows_round(point: Point, size: tuple[int, int]) -> tuple[Window, ...]:
    """Return the close-ups of a first click on a frame of a size (H, W)."""
    return tuple(_window((point.x, point.y), share, size) for share in SHARES)


def parts_at(mask: MaskArray, points: Sequence[Point]) -> MaskArray:
    """Return the connected parts of a mask, H x W bool, that hold a positive point; one in no part is a part itself."""
    shown = [(int(each.y), int(each.x)) for each in points if each.positive]
    there = mask.astype(np.uint8)
    for place in shown:
        there[place] = 1
    _, parts = cv2.connectedComponents(there, connectivity=8)
    return np.isin(parts, [parts[place] for place in shown])


def window_of(mask: MaskArray, points: Sequence[Point]) -> Window | None:
    """Return the close-up of those parts of a mask, H x W bool, that hold a positive point; None if they are large.

    A positive point that lies in no part counts as a part.
    """
    meant = parts_at(mask, points)
    if not meant.any():
        return None
    left, top, width, height = cv2.boundingRect(meant.view(np.uint8))
    size = mask.shape[0], mask.shape[1]
    share = max(MARGIN * height / size[0], MARGIN * width / size[1], LEAST)
    return _window((left + width / 2, top + height / 2), share, size) if share < MOST else None


def _window(centre: tuple[float, float], share: float, size: tuple[int, int]) -> Window:
    """Return the part of a frame round a place (x, y), moved so that it lies in the frame."""
    height, width = (max(round(share * side), 1) for side in size)
    top, left = round(centre[1] - height / 2), round(centre[0] - width / 2)
    return Window(min(max(top, 0), size[0] - height), min(max(left, 0), size[1] - width), height, width)
