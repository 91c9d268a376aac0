"""One object in one frame, reduced to what its scores need."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np

from covos.masks import VOID

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from covos.core.types import LabelArray


# Dilation with a Euclidean disk, which decides what lies within the tolerance of a contour.


@cache
def half_widths(radius: int) -> tuple[int, ...]:
    """Half the width of each row of the disk x² + y² <= r², from its middle row (y = 0) to its last (y = r)."""
    return tuple(math.isqrt(radius * radius - y * y) for y in range(radius + 1))


def dilate(binary: NDArray[np.uint8], *, radius: int) -> NDArray[np.uint8]:
    """All pixels within ``radius`` (Euclidean) of a set pixel.

    The disk is a union of rectangles, one a row: narrower towards its poles. From the widest to the narrowest,
    each rectangle's vertical part is joined in, and what was joined before is widened by the difference. That is
    5 r operations on whole arrays instead of one for each of the disk's π r² pixels, with the same result.

    Args:
        binary: h x w uint8 of 0 and 1.
        radius: In pixels.

    Returns:
        (h + 2 r) x (w + 2 r) uint8 of 0 and 1: the result has a margin of r on every side.
    """
    height, width = binary.shape
    padded = np.zeros((height + 2 * radius, width + 2 * radius), np.uint8)
    padded[radius : radius + height, radius : radius + width] = binary
    # In one dimension every shift runs over contiguous memory; the margins keep a row from reaching the next.
    stride, centre = padded.shape[1], padded.reshape(-1)
    column, result, wider = centre.copy(), centre.copy(), np.zeros_like(centre)
    widths = half_widths(radius)
    for y in range(1, radius + 1):
        for _ in range(widths[y - 1] - widths[y]):
            np.bitwise_or(result[1:-1], result[:-2], out=wider[1:-1])
            np.bitwise_or(wider[1:-1], result[2:], out=wider[1:-1])
            result, wider = wider, result
        column[y * stride :] |= centre[: -y * stride]
        column[: -y * stride] |= centre[y * stride :]
        result |= column
    return result.reshape(padded.shape)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Crop:
    """A part of an image of 0 and 1 outside which there is only 0.

    Attributes:
        pixels: h x w uint8 of 0 and 1.
        top: Row of the image at which it starts; may be negative.
        left: Column of the image at which it starts; may be negative.
    """

    pixels: NDArray[np.uint8]
    top: int
    left: int

    def count(self) -> int:
        """How many pixels are 1."""
        return cv2.countNonZero(self.pixels) if self.pixels.size else 0

    def common(self, other: Crop) -> int:
        """How many pixels are 1 in both."""
        y0, x0 = max(self.top, other.top), max(self.left, other.left)
        y1 = min(self.top + self.pixels.shape[0], other.top + other.pixels.shape[0])
        x1 = min(self.left + self.pixels.shape[1], other.left + other.pixels.shape[1])
        if y0 >= y1 or x0 >= x1:
            return 0
        mine = self.pixels[y0 - self.top : y1 - self.top, x0 - self.left : x1 - self.left]
        theirs = other.pixels[y0 - other.top : y1 - other.top, x0 - other.left : x1 - other.left]
        return cv2.countNonZero(mine & theirs)


class ObjectMask:
    """A binary mask with its contour and the contour's neighbourhood, each computed once and only if asked for.

    An object is compared with many proposals. The contour and its dilation are most of the cost of F, and are paid
    once an object, not once a pair. Everything is kept as crops: what lies outside them is 0 and changes no count.

    Attributes:
        region: The mask.
        area: Its pixels.
        radius: Tolerance of the contour, in pixels.
    """

    def __init__(self, mask: NDArray[np.uint8], *, radius: int, top: int = 0, left: int = 0) -> None:
        """Take the mask of one object.

        Args:
            mask: h x w uint8 of 0 and 1; views of it are kept. It may be a part of the image if that part reaches
                one pixel further than the object on every side where the image does.
            radius: Tolerance in pixels, see :func:`covos.evaluation.measures.tolerance_radius`.
            top: Row of the image at which ``mask`` starts.
            left: Column of the image at which it starts.
        """
        x, y, w, h = cv2.boundingRect(mask) if mask.size else (0, 0, 0, 0)
        self.region = Crop(pixels=mask[y : y + h, x : x + w], top=top + y, left=left + x)
        self.area = self.region.count()
        self.radius = radius
        # The contour reaches one pixel up and left of the object; one more row and column at the other side tell
        # the object's edge, which is contour, from the image's, which is not.
        y0, x0 = max(y - 1, 0), max(x - 1, 0)
        y1, x1 = (y + h + 1, x + w + 1) if self.area else (y0, x0)
        self._around = Crop(pixels=mask[y0:y1, x0:x1], top=top + y0, left=left + x0)

    @cached_property
    def contour(self) -> Crop:
        """The contour; see :func:`covos.evaluation.measures.boundary_map`."""
        return Crop(pixels=edges(self._around.pixels), top=self._around.top, left=self._around.left)

    @cached_property
    def contour_length(self) -> int:
        """Pixels of the contour."""
        return self.contour.count()

    @cached_property
    def near_contour(self) -> Crop:
        """The pixels within the tolerance of the contour, also those outside the image."""
        pixels = dilate(self.contour.pixels, radius=self.radius)
        return Crop(pixels=pixels, top=self.contour.top - self.radius, left=self.contour.left - self.radius)


def edges(binary: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pixels of an h x w array of 0 and 1 that differ from their right, lower or lower-right neighbour inside it."""
    found = np.zeros_like(binary)
    across = binary[:, :-1] ^ binary[:, 1:]
    found[:, :-1] = across
    found[:-1] |= binary[:-1] ^ binary[1:]
    # If the lower-right pixel alone differs, so does the step to it from the lower one.
    found[:-1, :-1] |= across[1:]
    return found


# The objects of one frame, however they were stored: as ids in one label map, or as one mask each.


class FrameMasks(Protocol):
    """The objects of one frame."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        ...

    @property
    def ids(self) -> tuple[int, ...]:
        """Ids of the objects that have a pixel, ascending; void is not among them."""
        ...

    @property
    def void(self) -> NDArray[np.uint8] | None:
        """H x W uint8, 1 where the map is void (255); None where it is nowhere."""
        ...

    def object(self, object_id: int, *, radius: int) -> ObjectMask:
        """The mask of one object, empty if it is not there."""
        ...

    def foreground(self, *, radius: int) -> ObjectMask:
        """The mask of everything that is not background."""
        ...

    def outside(self, void: NDArray[np.uint8]) -> FrameMasks:
        """The same with nothing where ``void``, H x W uint8 of 0 and 1, is 1."""
        ...


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
        """Ids of the objects that have a pixel, ascending."""
        return tuple(value for value in self._values if value != VOID)

    @property
    def void(self) -> NDArray[np.uint8] | None:
        """H x W uint8, 1 where the map is 255; None where it is nowhere."""
        return (self.labels == VOID).view(np.uint8) if VOID in self._values else None

    def object(self, object_id: int, *, radius: int) -> ObjectMask:
        """The mask of one object."""
        return self._mask(self._part == object_id, radius=radius)

    def foreground(self, *, radius: int) -> ObjectMask:
        """The mask of everything that is not background."""
        return self._mask(self._part != 0, radius=radius)

    def outside(self, void: NDArray[np.uint8]) -> LabelMasks:
        """The same with nothing where ``void`` is 1."""
        return LabelMasks(np.where(void, np.uint8(0), self.labels))

    def _mask(self, chosen: NDArray[np.bool_], *, radius: int) -> ObjectMask:
        return ObjectMask(chosen.view(np.uint8), radius=radius, top=self._top, left=self._left)


class LayerMasks:
    """Objects as one H x W uint8 mask of 0 and 1 each, by id; they may overlap."""

    def __init__(self, layers: Mapping[int, NDArray[np.uint8]], *, size: tuple[int, int]) -> None:
        self.layers = layers
        self.size = size
        self.void = None

    @cached_property
    def ids(self) -> tuple[int, ...]:
        """Ids of the objects that have a pixel, ascending."""
        return tuple(sorted(number for number, mask in self.layers.items() if cv2.countNonZero(mask)))

    def object(self, object_id: int, *, radius: int) -> ObjectMask:
        """The mask of one object."""
        mask = self.layers.get(object_id)
        return ObjectMask(np.zeros((0, 0), np.uint8) if mask is None else mask, radius=radius)

    def foreground(self, *, radius: int) -> ObjectMask:
        """The mask of everything that is not background."""
        merged = np.zeros(self.size, np.uint8)
        for mask in self.layers.values():
            merged |= mask
        return ObjectMask(merged, radius=radius)

    def outside(self, void: NDArray[np.uint8]) -> LayerMasks:
        """The same with nothing where ``void`` is 1."""
        valid = void ^ np.uint8(1)
        return LayerMasks({number: mask & valid for number, mask in self.layers.items()}, size=self.size)
