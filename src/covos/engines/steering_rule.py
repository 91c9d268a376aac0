"""The rule by which the subject is steered: a value, which the server's own process makes and applies without torch."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np

from covos.core.types import Box, MaskArray


@dataclass(frozen=True, slots=True, kw_only=True)
class SteeringRule:
    """The sides of what is followed, and the regions that are fixed.

    Attributes:
        kept: Ids of followed objects that are the subject.
        dropped: Ids of followed objects that are not.
        only_kept: If true, what no kept object covers is not the subject.
        within: Boxes; with any, the subject lies in these alone.
        exclude: Boxes in which there is no subject.
    """

    kept: frozenset[int] = frozenset()
    dropped: frozenset[int] = frozenset()
    only_kept: bool = False
    within: tuple[Box, ...] = ()
    exclude: tuple[Box, ...] = ()

    @property
    def follows(self) -> bool:
        """True if anything is followed for it."""
        return bool(self.kept or self.dropped)

    def outside(self, size: tuple[int, ...]) -> MaskArray:
        """Return the pixels of a frame of a size (height, width) that the fixed regions take away, H x W bool."""
        outside = in_boxes(self.exclude, size=size)
        return outside | ~in_boxes(self.within, size=size) if self.within else outside


def in_boxes(boxes: tuple[Box, ...], *, size: tuple[int, ...]) -> MaskArray:
    """Return the pixels of a frame of a size (height, width) that lie in any of the boxes, H x W bool."""
    inside = np.zeros(size, np.bool_)
    for box in boxes:
        rows, columns = slice(ceil(box.y0), ceil(box.y1)), slice(ceil(box.x0), ceil(box.x1))
        inside[rows, columns] = True
    return inside
