"""Colours of a subject and of what is behind it, for every unknown pixel, out of all that are seen at the rim.

He et al., *A Global Sampling Method for Alpha Matting*, CVPR 2011: each pixel looks for the pair (F, B) that explains
its colour and lies near. It takes over the pairs of its neighbours where they are better, and tries others at random.

Shape legend: H height, W width; N unknown pixels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from covos.core.types import ImageArray, MaskArray
from covos.masks.distance import distance_to

RIM = 8
"""Pixels from the unknown ones within which colours are taken."""
ROUNDS = 8
"""Times that pixels ask their neighbours."""
TRIES = 5
"""Pairs that are tried at random in a round, each nearer in brightness to the one that is held."""
NARROWER = 0.35
"""Ratio of the reach of a try to that of the one before."""
_COLOUR = 255.0
"""Weight of a distance in colour: one level counts as much as to be twice as far away as the nearest of a side."""
_TINY = 1e-3

Floats = NDArray[np.float32]
Places = NDArray[np.intp]


class Rim(NamedTuple):
    """The colours of a side that may be taken; K of them, from dark to bright."""

    colours: Floats
    """3 x K in [0, 1]."""
    places: Floats
    """2 x K: column and row."""
    nearest: Floats
    """N: distance of each unknown pixel from the nearest one."""


def best_pairs(image: ImageArray, sides: tuple[MaskArray, MaskArray], *, rng: Generator) -> tuple[Floats, Floats]:
    """Find alpha by colour for the pixels that are of neither side.

    Args:
        image: H x W x 3 uint8 RGB.
        sides: Pixels that surely are of the subject, and of what is behind it, H x W bool each; neither is empty.
        rng: Draws the tries.

    Returns:
        Alpha in [0, 1], and the cost of the pair that gave it, H x W float32 each; 1 and 0, at no cost, where sure.
    """
    unknown = ~(sides[0] | sides[1])
    rows, columns = np.nonzero(unknown)
    values = image.astype(np.float32) / np.float32(255)
    search = _Search(values[rows, columns].T.copy(), np.stack([columns, rows]).astype(np.float32), _rims(values, sides))
    search.begin(rng)
    neighbours = _neighbours(unknown, rows, columns)
    for _ in range(ROUNDS):
        for near in neighbours:
            search.take_over(near)
        for step in range(TRIES):
            search.try_near(NARROWER**step, rng)
    alpha, cost = sides[0].astype(np.float32), np.zeros(unknown.shape, np.float32)
    alpha[rows, columns], cost[rows, columns] = search.alpha, search.cost
    return alpha, cost


def _rims(values: Floats, sides: tuple[MaskArray, MaskArray]) -> tuple[Rim, Rim]:
    unknown = ~(sides[0] | sides[1])
    near = distance_to(unknown) <= RIM
    made = []
    for side in sides:
        rows, columns = np.nonzero(side & near if (side & near).any() else side)
        order = np.argsort(values[rows, columns].sum(axis=1), kind="stable")
        rows, columns = rows[order], columns[order]
        away = distance_to(side)[unknown]
        places = np.stack([columns, rows]).astype(np.float32)
        made.append(Rim(values[rows, columns].T.copy(), places, np.maximum(away, 1).astype(np.float32)))
    return made[0], made[1]


def _neighbours(unknown: MaskArray, rows: Places, columns: Places) -> list[Places]:
    """Return the numbers of the pixels to the right, left, below and above; their own where these are known."""
    number = np.full((unknown.shape[0] + 2, unknown.shape[1] + 2), -1, np.intp)
    own = np.arange(len(rows))
    number[rows + 1, columns + 1] = own
    found = [number[rows + 1 + y, columns + 1 + x] for y, x in ((0, 1), (0, -1), (1, 0), (-1, 0))]
    return [np.where(each < 0, own, each) for each in found]


class _Search:
    """The pairs that are held by N pixels, as numbers of colours of both rims."""

    def __init__(self, pixels: Floats, places: Floats, rims: tuple[Rim, Rim]) -> None:
        self._pixels, self._places, self._rims = pixels, places, rims
        self._pair: list[Places] = []

    def begin(self, rng: Generator) -> None:
        count = self._pixels.shape[1]
        self._pair = [np.asarray(rng.integers(0, rim.colours.shape[1], count), np.intp) for rim in self._rims]
        self.cost, self.alpha = self._judged(self._pair)

    def take_over(self, near: Places) -> None:
        self._keep_better([each[near] for each in self._pair])

    def try_near(self, reach: float, rng: Generator) -> None:
        tried = []
        for rim, held in zip(self._rims, self._pair, strict=True):
            count = rim.colours.shape[1]
            away = rng.uniform(-reach * count, reach * count, len(held)).astype(np.intp)
            tried.append(np.clip(held + away, 0, count - 1))
        self._keep_better(tried)

    def _keep_better(self, pair: list[Places]) -> None:
        cost, alpha = self._judged(pair)
        better = cost < self.cost
        self._pair = [np.where(better, new, old) for new, old in zip(pair, self._pair, strict=True)]
        self.cost, self.alpha = np.where(better, cost, self.cost), np.where(better, alpha, self.alpha)

    def _judged(self, pair: list[Places]) -> tuple[Floats, Floats]:
        foreground, background = (rim.colours[:, held] for rim, held in zip(self._rims, pair, strict=True))
        way, above = foreground - background, self._pixels - background
        alpha = np.clip((above * way).sum(axis=0) / ((way * way).sum(axis=0) + np.float32(_TINY)), 0, 1)
        cost = np.float32(_COLOUR) * _length(above - alpha * way)
        for rim, held in zip(self._rims, pair, strict=True):
            cost = cost + _length(rim.places[:, held] - self._places) / rim.nearest
        return np.asarray(cost, np.float32), np.asarray(alpha, np.float32)


def _length(vectors: Floats) -> Floats:
    return np.asarray(np.sqrt((vectors * vectors).sum(axis=0)), np.float32)
