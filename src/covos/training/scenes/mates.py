"""Mates: things of one kind that stand beside one another and overlap, as people in a row do.

A network that has seen only things of different kinds, apart, takes a row of people for one thing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from covos.core.types import ImageArray
from covos.data import Video
from covos.training.pools import Pool
from covos.training.scenes.cutouts import Cutout, cut_out_subject, placement, shrunk
from covos.training.scenes.sprites import Sprite
from covos.training.scenes.windows import ByteMask

OVERLAP = (-0.05, 0.5)
"""How far a mate reaches into the row, in widths of the narrower of the two."""
SIZES = 0.25
"""Standard deviation of the logarithm of a mate's size, over that of the thing it stands beside."""
RISE = 0.12
"""Standard deviation of the height of a mate's foot over the row's, in heights of the row."""
TONED = 0.7
"""Share of the mates whose mean colour comes nearer to that of the thing: light is the same for all in a picture."""
STEP = 0.01
"""Standard deviation of a mate's way to the next frame, in shares of the view."""
TURN = 4.0
"""Standard deviation of a mate's turn, in degrees."""
NARROW = 3.0
"""A thing counts as no narrower than its height over this: the mates of a lamp post are no lamp posts."""
WIDEST = 0.6
"""A mate is no wider than this share of the view."""


def draw_mates(
    view: ImageArray, mask: ByteMask, mates: Iterator[Video], *, frames: int, most: int, rng: Generator
) -> list[Sprite]:
    """Draw up to ``most`` mates of a thing, on both sides of it, each beside the row that is there.

    Args:
        view: H x W x 3 uint8 RGB.
        mask: The thing in it, H x W uint8. If it is empty, the first mate is put somewhere.
        mates: Still pictures that the mates are cut out of.
        frames: Number of frames.
        most: Mates, at most; pictures without a subject give none.
        rng: Draws.
    """
    row = _Row.around(view, mask, rng=rng)
    sprites: list[Sprite] = []
    for _ in range(int(rng.integers(1, most + 1))):
        cutout = cut_out_subject(next(mates))
        if cutout is None:
            continue
        cutout = shrunk(_toned(cutout, row.tone, rng=rng) if rng.random() < TONED else cutout)
        rows, columns = cutout.alpha.shape
        # As high as the row if it is of its shape, else as large.
        scale = math.sqrt(row.height / rows * math.sqrt(row.area / (rows * columns))) * np.exp(rng.normal(0, SIZES))
        scale = min(float(scale), WIDEST * view.shape[1] / columns)
        middle = row.beside(scale * columns, within=view.shape[1], rng=rng)
        center = np.array([middle, row.foot - scale * rows / 2 + rng.normal(0, RISE) * row.height])
        turn, mirror, places = float(rng.normal(0, TURN)), rng.random() < 0.5, []
        for _ in range(frames):
            places.append(placement((rows, columns), center=center, scale=scale, turn=turn, mirror=mirror))
            center = center + rng.normal(0, STEP, size=2) * view.shape[1::-1]
        behind = rng.random() < 0.5
        sprites.append(Sprite(cutout=cutout, placements=tuple(places), bends=None, followed=True, behind=behind))
    return sprites


@dataclass(slots=True, kw_only=True)
class _Row:
    """Things that stand beside one another, in pixels of a view."""

    left: float
    right: float
    foot: float
    height: float
    area: float
    """Of the first thing's box."""
    tone: NDArray[np.float64]
    """Its mean colour."""

    @classmethod
    def around(cls, view: ImageArray, mask: ByteMask, *, rng: Generator) -> _Row:
        """Begin with the thing in a mask, or with nothing at some place."""
        rows, columns = view.shape[:2]
        x, y, width, height = cv2.boundingRect((mask > 127).astype(np.uint8))
        if width:
            area = float(max(width, height / NARROW) * height)
            tone = view[mask > 127].mean(axis=0)
            return cls(left=x, right=x + width, foot=y + height, height=height, area=area, tone=tone)
        middle, foot, tall = rng.uniform((0.2, 0.6, 0.25), (0.8, 1.0, 0.9)) * (columns, rows, rows)
        tone = view.reshape(-1, 3).mean(axis=0)
        return cls(left=middle, right=middle, foot=foot, height=tall, area=tall * tall / NARROW, tone=tone)

    def beside(self, width: float, *, within: float, rng: Generator) -> float:
        """Return the middle of a further thing of a width at one end of the row, whose end it then is."""
        reach = rng.uniform(*OVERLAP) * min(width, max(self.right - self.left, width / 2))
        left, right = self.left + reach - width / 2, self.right - reach + width / 2
        middle, other = (left, right) if rng.random() < 0.5 else (right, left)
        if not 0 < middle < within:
            middle = other
        self.left, self.right = min(self.left, middle - width / 2), max(self.right, middle + width / 2)
        return float(middle)


def mates_of(still: Pool, place: int | None, *, rng: Generator) -> Iterator[Video]:
    """Draw pictures of one data set without end: of that of the picture with an index, or of any one."""
    if place is None:
        place = still.place(rng)
    while True:
        yield still.beside(place, rng)


def _toned(cutout: Cutout, tone: NDArray[np.float64], *, rng: Generator) -> Cutout:
    inside = cutout.alpha > 0.5
    if not inside.any():
        return cutout
    shift = (tone - cutout.image[inside].mean(axis=0)) * rng.uniform(0.2, 0.9)
    image = np.clip(cutout.image.astype(np.float32) + shift.astype(np.float32), 0, 255).astype(np.uint8)
    return Cutout(image, cutout.alpha)
