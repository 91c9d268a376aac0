"""The band of uncertain pixels around a contour, the colours of both its sides, and the input of covos-matte in a tile.

Shape legend: H height, W width.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.types import ImageArray, MaskArray, ProbabilityArray
from covos.masks.distance import distance_to
from covos.models.matte import INPUTS

SURE = 0.03
"""A probability this near to 0 or 1 is taken for it, if it lies out of the reach of the contour."""
WINDOWS = (9, 41)
"""Sides of the windows that colours are averaged in, in pixels of half the size."""
_LEAST = 0.02
"""A window holds a side if so large a share of it is sure."""
_TINY = 1e-3

Floats = NDArray[np.float32]


class Sides(NamedTuple):
    """A first alpha by colour, with the samples that gave it; N pixels of a band each."""

    foreground: Floats
    """N x 3 in [0, 1]."""
    background: Floats
    """N x 3."""
    alpha: Floats
    """N in [0, 1]."""
    residual: Floats
    """N: distance of the pixel's colour from the line between the samples."""
    contrast: Floats
    """N: distance between the samples."""

    @property
    def told(self) -> Floats:
        """All of it, in the order in which the network reads it: N x 9."""
        return np.concatenate([*self[:2], *(each[:, None] for each in self[2:])], axis=1)


def uncertain_band(probability: ProbabilityArray, *, reach: float) -> MaskArray:
    """Return the pixels that a matte is found for: H x W bool.

    They are those whose probability is neither 0 nor 1, and those nearer than ``reach`` pixels to the contour.
    """
    inside = probability > 0.5
    # By distances: to dilate by a large disc takes seconds in a large frame.
    near = within(inside, reach) & within(~inside, reach)
    return near | ((probability > SURE) & (probability < 1 - SURE))


def within(mask: MaskArray, reach: float) -> MaskArray:
    """Return the pixels that are at most so far from a pixel of a mask: H x W bool."""
    return np.asarray(distance_to(mask) <= reach, np.bool_)


class FarColours(NamedTuple):
    """Colours of both sides to take where a picture shows none of one; in [0, 1]."""

    foreground: Floats
    """1 x 1 x 3."""
    background: Floats
    """1 x 1 x 3."""


NO_COLOURS = FarColours(*(np.full((1, 1, 3), 0.5, np.float32) for _ in range(2)))
"""Grey, where nothing is known."""


def tile_inputs(
    image: ImageArray,
    probability: ProbabilityArray,
    uncertain: MaskArray,
    before: ProbabilityArray,
    known: ProbabilityArray,
    *,
    sides: Floats,
    out: Floats,
) -> None:
    """Make the input of the network for a tile.

    Args:
        image: H x W x 3 uint8 RGB.
        probability: H x W float32 in [0, 1].
        uncertain: H x W bool: the part of the band, see `uncertain_band`.
        before: H x W float32: alpha of the frame before, moved to where its things are in this frame.
        known: H x W float32 in [0, 1]: 1 where that can be relied on, 0 where there is none.
        sides: N x 9: the `Sides.told` of the pixels of ``uncertain``, row by row.
        out: H x W x `INPUTS`, contiguous: takes the input. Channels come last, which is what OpenCV and NumPy write,
            and what the network reads fastest.
    """
    np.multiply(image, np.float32(1 / 255), out=out[..., :3])
    out[..., 3] = probability
    out[..., 4] = uncertain
    np.multiply(before, known, out=out[..., 5])
    out[..., 6] = known
    out[..., 7:] = 0
    out[..., 13] = probability
    out.reshape(-1, INPUTS)[np.flatnonzero(uncertain), 7:] = sides


def sample_sides(
    image: ImageArray,
    probability: ProbabilityArray,
    band: MaskArray,
    *,
    asked: MaskArray | None = None,
    far: FarColours = NO_COLOURS,
) -> Sides:
    """Solve I = alpha F + (1 - alpha) B for pixels of a band, from samples of F and B.

    The samples are the nearest sure pixel of a side, and means of a small and of a large window. The pair that explains
    the colour of the pixel best is taken (Wang and Cohen, *Optimized Color Sampling for Robust Matting*, CVPR 2007).

    Args:
        image: H x W x 3 uint8 RGB.
        probability: H x W float32 in [0, 1].
        band: H x W bool: all pixels that are not sure.
        asked: H x W bool: the pixels to answer for, row by row; None for all of the band.
        far: Colours of a side of which the picture has no sure pixel.
    """
    asked = band if asked is None else asked
    height, width = probability.shape
    small = (max(1, width // 2), max(1, height // 2))
    # An odd row or column at the end is left out: each place is two by two pixels.
    whole = slice(0, max(2, height) // 2 * 2), slice(0, max(2, width) // 2 * 2)
    reduced = np.asarray(cv2.resize(image[whole], small, interpolation=cv2.INTER_AREA), np.float32) / np.float32(255)
    rows, columns = np.divmod(np.flatnonzero(asked), width)
    pixels = image[rows, columns].T.astype(np.float32) / np.float32(255)
    # The samples of four neighbours are the same: they are looked up once.
    cells = np.minimum(rows >> 1, small[1] - 1) * small[0] + np.minimum(columns >> 1, small[0] - 1)
    looked_up = np.zeros(small[0] * small[1], np.bool_)
    looked_up[cells] = True
    places = np.flatnonzero(looked_up)
    number = np.zeros(len(looked_up), np.int32)
    number[places] = np.arange(len(places), dtype=np.int32)
    own = number[cells]
    samples = []
    for sure, beyond in zip(_sides(probability, band), far, strict=True):
        # Four times a mask: the mean of two by two pixels is a whole number.
        quarters = cv2.resize(sure[whole].view(np.uint8) * np.uint8(4), small, interpolation=cv2.INTER_AREA)
        share = np.asarray(quarters * np.float32(0.25), np.float32)
        found = _samples(reduced, share, places, beyond)
        samples.append([np.take(np.ascontiguousarray(each.T), own, axis=1) for each in found])
    return _best_pair(pixels, *samples)


def _sides(probability: ProbabilityArray, band: MaskArray) -> tuple[MaskArray, MaskArray]:
    """Return the sure pixels of the subject, and those of what is behind it: H x W bool each."""
    inside = probability > 0.5
    return inside & ~band, ~(inside | band)


def _samples(image: Floats, share: Floats, places: NDArray[np.intp], beyond: Floats) -> list[Floats]:
    """Return samples of a side at some places, by their numbers in the picture: N x 3 each, the nearest first."""
    sure = share > 0.5
    if not sure.any():
        return [np.broadcast_to(beyond.reshape(1, 3), (len(places), 3))] * (1 + len(WINDOWS))
    weighed = np.empty((*share.shape, 4), np.float32)
    np.multiply(image, share[..., None], out=weighed[..., :3])
    weighed[..., 3] = share
    found = [_mean(weighed, 3, _nearest(sure, places))[0]]
    for side in WINDOWS:
        mean, held = _mean(weighed, side, places)
        found.append(np.where((held > _LEAST)[:, None], mean, found[-1]))
    return found


def _nearest(sure: MaskArray, places: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the number of the nearest sure pixel of each place."""
    _, labels = cv2.distanceTransformWithLabels(
        (~sure).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    flat, seeds = np.asarray(labels).reshape(-1), np.flatnonzero(sure)
    number_of = np.zeros(int(flat.max()) + 1, np.intp)
    number_of[flat[seeds]] = seeds
    return np.asarray(number_of[flat[places]], np.intp)


def _mean(weighed: Floats, side: int, places: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Return means of a side's colours in windows around places, and how much of each window is of that side.

    ``weighed`` has colours times their share of a pixel, and this share: H x W x 4.
    """
    total = np.take(np.asarray(cv2.blur(weighed, (side, side)), np.float32).reshape(-1, 4), places, axis=0)
    held = total[:, 3]
    return np.asarray(total[:, :3] / np.maximum(held, _TINY)[:, None], np.float32), held


def _best_pair(pixels: Floats, foregrounds: list[Floats], backgrounds: list[Floats]) -> Sides:
    """Return the best of all pairs for N pixels; colours are 3 x N each."""
    count = pixels.shape[1]
    alphas, lengths, errors = (np.empty((len(foregrounds), len(backgrounds), count), np.float32) for _ in range(3))
    for j, background in enumerate(backgrounds):
        above = pixels - background
        height = _dot(above, above)
        for i, foreground in enumerate(foregrounds):
            way = foreground - background
            lengths[i, j] = length = _dot(way, way)
            along = _dot(above, way)
            alphas[i, j] = alpha = np.clip(along / (length + _TINY), 0, 1)
            # |above - alpha way| squared
            errors[i, j] = height - alpha * (2 * along - alpha * length)
    pairs = len(foregrounds) * len(backgrounds)
    best = _least(errors.reshape(pairs, count))
    first, second = np.divmod(best, len(backgrounds))
    every = np.arange(count)
    place = best * count + every

    def taken(samples: list[Floats], which: NDArray[np.intp]) -> Floats:
        whole = np.stack(samples, axis=1).reshape(3, -1)  # of each channel, one sample after another
        return np.asarray(np.take(whole, which * count + every, axis=1).T, np.float32)

    return Sides(
        taken(foregrounds, first),
        taken(backgrounds, second),
        np.take(alphas, place),
        np.sqrt(np.maximum(np.take(errors, place), 0)),
        np.sqrt(np.take(lengths, place)),
    )


def _least(errors: Floats) -> NDArray[np.intp]:
    """Return the number of the least of each column, the first of equal ones; `argmin` across rows is slower."""
    least, best = errors[0].copy(), np.zeros(errors.shape[1], np.intp)
    for row, each in enumerate(errors[1:], 1):
        better = each < least
        np.copyto(least, each, where=better)
        np.copyto(best, row, where=better)
    return best


def _dot(a: Floats, b: Floats) -> Floats:
    return np.asarray(a[0] * b[0] + a[1] * b[1] + a[2] * b[2], np.float32)
