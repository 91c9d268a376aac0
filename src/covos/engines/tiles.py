"""Tiles over a band of pixels: small ones where little of it is, large ones where there is much, on a fixed grid.

A network that sees only these tiles costs what the contour costs. The grid is that of the frame and does not follow the
contour: what a tile shows does not jump when the subject moves by a pixel.

Shape legend: H height, W width of a frame; h, w of its grid in cells.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.types import MaskArray, ProbabilityArray

MARGIN = 8
"""Pixels on each side of a tile that it shares with its neighbours, over which one goes over into the other."""
CELL = 32
"""Side of the smallest tile, without its margin."""
DOUBLINGS = 4
"""Cells are joined to pairs, these to pairs, and so on so many times: the largest tile has 2 to this power of them."""
LARGEST = CELL << (DOUBLINGS // 2), CELL << ((DOUBLINGS + 1) // 2)
"""Height and width of the largest tile, without its margin."""
CALL = 2000
"""A tile costs as much as so many pixels, beside its own."""

Floats = NDArray[np.float32]


class Tile(NamedTuple):
    """A tile of a frame without its margin: its first row and column, and its size in pixels."""

    y: int
    x: int
    height: int
    width: int

    @property
    def area(self) -> int:
        """Its pixels, with its margin."""
        return (self.height + 2 * MARGIN) * (self.width + 2 * MARGIN)

    @property
    def outer(self) -> tuple[slice, slice]:
        """It and its margin, in a frame that has `MARGIN` more on each side."""
        return slice(self.y, self.y + self.height + 2 * MARGIN), slice(self.x, self.x + self.width + 2 * MARGIN)


def tiles_over(band: MaskArray) -> list[Tile]:
    """Return the tiles that hold a band, so that what they have to compute is small; those of one size together.

    Cells of the grid are joined side by side, then one above the other, in turns. Each group takes the cheaper of two:
    the joined tile, or the best tiles of its two halves. Empty cells cost nothing.
    """
    held = _cells(band)
    taken, size = [held], [CELL, CELL]
    cost = np.where(held, np.float32(_cost(*size)), np.float32(0))
    for step in range(DOUBLINGS):
        axis = (step + 1) % 2
        size[axis] *= 2
        apart = _pairs(cost, axis)
        joined = np.float32(_cost(*size))
        cost = np.minimum(apart, np.where(apart > 0, joined, 0))
        taken.append((apart > 0) & (joined <= apart))
    found: list[Tile] = []
    free = np.ones_like(taken[-1])
    for step in reversed(range(DOUBLINGS + 1)):
        own = taken[step] & free
        found += [Tile(int(y) * size[0], int(x) * size[1], size[0], size[1]) for y, x in np.argwhere(own)]
        free &= ~own
        if step:
            axis = step % 2
            size[axis] //= 2
            free = free.repeat(2, axis=axis)
    return found


def _cells(band: MaskArray) -> MaskArray:
    """Return the cells that hold a pixel of a band, h x w bool, as many as fill the largest tiles."""
    height, width = band.shape
    whole = np.pad(band, ((0, -height % LARGEST[0]), (0, -width % LARGEST[1])))
    rows, columns = whole.shape[0] // CELL, whole.shape[1] // CELL
    return np.asarray(whole.reshape(rows, CELL, columns, CELL).any(axis=(1, 3)), np.bool_)


def _pairs(cost: Floats, axis: int) -> Floats:
    return cost[::2] + cost[1::2] if axis == 0 else cost[:, ::2] + cost[:, 1::2]


def _cost(height: int, width: int) -> int:
    return Tile(0, 0, height, width).area + CALL


def padded(values: NDArray[Any]) -> NDArray[Any]:
    """Return a frame with the rim that its tiles reach beyond it: `MARGIN`, and whole tiles; it is mirrored there."""
    below, right = (-side % whole + MARGIN for side, whole in zip(values.shape[:2], LARGEST, strict=True))
    return np.asarray(cv2.copyMakeBorder(values, MARGIN, below, MARGIN, right, cv2.BORDER_REFLECT_101), values.dtype)


def in_groups(tiles: Sequence[Tile], *, pixels: int) -> Iterator[list[Tile]]:
    """Yield tiles in groups of one size, which have so many pixels together at the most, or are one tile."""
    groups: dict[tuple[int, int], list[Tile]] = {}
    for tile in tiles:
        groups.setdefault((tile.height, tile.width), []).append(tile)
    for group in groups.values():
        most = max(1, pixels // group[0].area)
        yield from (group[start : start + most] for start in range(0, len(group), most))


class Patchwork:
    """Values of a frame that come in tiles, each of which fades into its neighbours.

    Args:
        size: Height and width of the frame.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size
        whole = padded(np.zeros(size, np.float32)).shape
        self._total, self._weight = np.zeros(whole, np.float32), np.zeros(whole, np.float32)

    def add(self, tile: Tile, values: Floats, counts: MaskArray) -> None:
        """Add the values of a tile with its margin, where they count."""
        share = _feather(tile.height, tile.width) * counts
        self._total[tile.outer] += values * share
        self._weight[tile.outer] += share

    def whole(self) -> ProbabilityArray:
        """Return the values of the frame, H x W float32; 0 where there are none."""
        inner = slice(MARGIN, MARGIN + self._size[0]), slice(MARGIN, MARGIN + self._size[1])
        return np.asarray(self._total[inner] / np.maximum(self._weight[inner], 1e-6), np.float32)


@cache
def _feather(height: int, width: int) -> Floats:
    rise = (np.arange(2 * MARGIN, dtype=np.float32) + 0.5) / (2 * MARGIN)
    sides = [np.concatenate([rise, np.ones(side - 2 * MARGIN, np.float32), rise[::-1]]) for side in (height, width)]
    return np.outer(*sides).astype(np.float32)
