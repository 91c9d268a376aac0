"""The objects of one frame, however they were stored: as ids in one label map, or as one mask each."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.types import LabelArray
from covos.evaluation.scored_mask import ScoredMask
from covos.masks import VOID


class LabelMasks:
    """Objects as ids of one H x W uint8 label map; 0 is background, 255 void."""

    def __init__(self, labels: LabelArray) -> None:
        self.labels = labels
        # Everything that is asked of the map is asked of the part that is not background. One pixel more on each
        # side keeps the contours whole.
        x, y, w, h = cv2.boundingRect(labels)
        self._top, self._left = max(y - 1, 0), max(x - 1, 0)
        self._part = labels[self._top : y + h + 1, self._left : x + w + 1]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return int(self.labels.shape[0]), int(self.labels.shape[1])

    @cached_property
    def _values(self) -> tuple[int, ...]:
        highest = int(self._part.max())
        if cv2.countNonZero(self._part) == np.count_nonzero(self._part == highest):
            return (highest,) if highest else ()
        counts = cv2.calcHist([np.ascontiguousarray(self._part)], [0], None, [256], [0, 256])
        return tuple(int(value) for value in np.flatnonzero(counts) if value)

    @property
    def ids(self) -> tuple[int, ...]:
        """Ids of the objects that have a pixel, ascending; void is not among them."""
        return tuple(value for value in self._values if value != VOID)

    @property
    def void(self) -> NDArray[np.uint8] | None:
        """H x W uint8, 1 where the map is 255; None where it is nowhere."""
        return (self.labels == VOID).view(np.uint8) if VOID in self._values else None

    def object(self, object_id: int | None, *, radius: int) -> ScoredMask:
        """Return the mask of one object, empty if it is not there; of all that is not background, if None."""
        chosen = self._part != 0 if object_id is None else self._part == object_id
        return ScoredMask(chosen.view(np.uint8), radius=radius, top=self._top, left=self._left)

    def outside(self, void: NDArray[np.uint8]) -> LabelMasks:
        """Return the same with nothing where ``void``, H x W uint8 of 0 and 1, is 1."""
        return LabelMasks(np.where(void, np.uint8(0), self.labels))


class LayerMasks:
    """Objects as one H x W uint8 mask of 0 and 1 each, by id; they may overlap. There is no void."""

    void = None

    def __init__(self, layers: Mapping[int, NDArray[np.uint8]], *, size: tuple[int, int]) -> None:
        self.layers = layers
        self.size = size

    @cached_property
    def ids(self) -> tuple[int, ...]:
        """Ids of the objects that have a pixel, ascending."""
        return tuple(sorted(number for number, mask in self.layers.items() if cv2.countNonZero(mask)))

    def object(self, object_id: int | None, *, radius: int) -> ScoredMask:
        """Return the mask of one object, empty if it is not there; of all that is not background, if None."""
        if object_id is not None:
            return ScoredMask(self.layers.get(object_id, np.zeros((0, 0), np.uint8)), radius=radius)
        merged = np.zeros(self.size, np.uint8)
        for mask in self.layers.values():
            merged |= mask
        return ScoredMask(merged, radius=radius)

    def outside(self, void: NDArray[np.uint8]) -> LayerMasks:
        """Return the same with nothing where ``void``, H x W uint8 of 0 and 1, is 1."""
        valid = void ^ np.uint8(1)
        return LayerMasks({number: mask & valid for number, mask in self.layers.items()}, size=self.size)


FrameMasks: TypeAlias = LabelMasks | LayerMasks
"""The objects of one frame."""
