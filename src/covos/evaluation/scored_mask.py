"""The mask of one object in one frame, with what its scores need: area, contour, and the contour's neighbourhood."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Crop:
    """A part of an image of 0 and 1 outside which there is only 0; it may start at negative rows and columns."""

    pixels: NDArray[np.uint8]
    top: int
    left: int

    def count(self) -> int:
        """Return how many pixels are 1."""
        return cv2.countNonZero(self.pixels) if self.pixels.size else 0

    def on_canvas(self, size: tuple[int, int], *, top: int = 0, left: int = 0) -> NDArray[np.uint8]:
        """Return it within a larger part of the image, of which the size and the first row and column are given."""
        canvas = np.zeros(size, np.uint8)
        (height, width), y, x = self.pixels.shape, self.top - top, self.left - left
        canvas[y : y + height, x : x + width] = self.pixels
        return canvas

    def common(self, other: Crop) -> int:
        """Return how many pixels are 1 in both."""
        y0, x0 = max(self.top, other.top), max(self.left, other.left)
        y1 = min(self.top + self.pixels.shape[0], other.top + other.pixels.shape[0])
        x1 = min(self.left + self.pixels.shape[1], other.left + other.pixels.shape[1])
        if y0 >= y1 or x0 >= x1:
            return 0
        mine = self.pixels[y0 - self.top : y1 - self.top, x0 - self.left : x1 - self.left]
        theirs = other.pixels[y0 - other.top : y1 - other.top, x0 - other.left : x1 - other.left]
        return cv2.countNonZero(mine & theirs)


class ScoredMask:
    """A binary mask with its contour and the contour's neighbourhood, each computed once and only if asked for.

    An object is compared with many proposals. The contour and its dilation are most of the cost of F, and are paid
    once an object, not once a pair. Everything is kept as crops: what lies outside them is 0 and changes no count.
    """

    def __init__(self, mask: NDArray[np.uint8], *, radius: int, top: int = 0, left: int = 0) -> None:
        """Take the mask of one object, h x w uint8 of 0 and 1, and the tolerance of its contour in pixels.

        Views of the mask are kept. It may be a part of the image, from ``top`` and ``left``, if that part reaches one
        pixel further than the object on every side where the image does.
        """
        x, y, w, h = cv2.boundingRect(mask) if mask.size else (0, 0, 0, 0)
        self.region = Crop(pixels=mask[y : y + h, x : x + w], top=top + y, left=left + x)
        self.area = self.region.count()
        self.radius = radius
        # The contour reaches one pixel up and left of the object; one more row and column at the other side show the
        # object's edge, which is contour, from the image's, which is not.
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
    """Set the pixels that differ from their right, lower or lower-right neighbour; outside there are no neighbours."""
    found = np.zeros_like(binary)
    across = binary[:, :-1] ^ binary[:, 1:]
    found[:, :-1] = across
    found[:-1] |= binary[:-1] ^ binary[1:]
    # If the lower-right pixel alone differs, so does the step to it from the lower one.
    found[:-1, :-1] |= across[1:]
    return found


def dilate(binary: NDArray[np.uint8], *, radius: int) -> NDArray[np.uint8]:
    """Find all pixels within a Euclidean distance of a set pixel: dilation with the disk x² + y² <= r².

    The disk is a union of rectangles, one a row: narrower towards its poles. From the widest to the narrowest,
    each rectangle's vertical part is joined in, and what was joined before is widened by the difference. This takes 5 r
    operations on whole arrays instead of one for each of the disk's π r² pixels, with the same result. The result has a
    margin of r on every side: (h + 2 r) x (w + 2 r) uint8 of 0 and 1.
    """
    height, width = binary.shape
    padded = np.zeros((height + 2 * radius, width + 2 * radius), np.uint8)
    padded[radius : radius + height, radius : radius + width] = binary
    # In one dimension every shift runs over contiguous memory; the margins keep a row from reaching the next.
    stride, centre = padded.shape[1], padded.reshape(-1)
    column, result, wider = centre.copy(), centre.copy(), np.zeros_like(centre)
    half_widths = [math.isqrt(radius * radius - y * y) for y in range(radius + 1)]
    for y in range(1, radius + 1):
        for _ in range(half_widths[y - 1] - half_widths[y]):
            np.bitwise_or(result[1:-1], result[:-2], out=wider[1:-1])
            np.bitwise_or(wider[1:-1], result[2:], out=wider[1:-1])
            result, wider = wider, result
        column[y * stride :] |= centre[: -y * stride]
        column[: -y * stride] |= centre[y * stride :]
        result |= column
    return result.reshape(padded.shape)
