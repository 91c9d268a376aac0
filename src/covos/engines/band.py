"""The band of uncertain pixels around a contour, and the inputs of covos-matte in a tile of it.

Shape legend: H height, W width.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.types import ImageArray, MaskArray, ProbabilityArray
from covos.models.matte import INPUTS

SURE = 0.03
"""A probability this near to 0 or 1 is taken for it, if it lies out of the reach of the contour."""
TILE = 128
"""Side of a tile that the network sees."""
CONTEXT = 32
"""Pixels beyond the tile, on each side, in which colours of both sides are sampled."""
WINDOWS = (9, 41)
"""Sides of the windows that colours are averaged in, in pixels of half the size."""
FAR = 8
"""Step of the grid that colours of a whole frame are known on, in pixels."""
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


def distance_to(mask: MaskArray) -> Floats:
    """Return how far each pixel is from the nearest of a mask, in pixels; infinite if there is none: H x W float32."""
    if not mask.any():
        return np.full(mask.shape, np.inf, np.float32)
    return np.asarray(cv2.distanceTransform((~mask).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5), np.float32)


class FarColours(NamedTuple):
    """Colours of the nearest sure pixels of each side of a whole frame, for windows that hold none: in [0, 1]."""

    foreground: Floats
    """h x w x 3, at a fraction of the frame's size."""
    background: Floats
    """h x w x 3."""


NO_COLOURS = FarColours(*(np.full((1, 1, 3), 0.5, np.float32) for _ in range(2)))
"""Grey, where no frame is known beyond the window."""


def far_colours(image: ImageArray, probability: ProbabilityArray, band: MaskArray) -> FarColours:
    """Find the colours of both sides all over a frame; arguments as of `tile_inputs`, for the whole frame."""
    height, width = probability.shape
    small = max(1, width // FAR), max(1, height // FAR)
    reduced = np.asarray(cv2.resize(image, small, interpolation=cv2.INTER_AREA), np.float32) / np.float32(255)
    found = []
    for sure in _sides(probability, band):
        share = np.asarray(cv2.resize(sure, small, interpolation=cv2.INTER_AREA), np.float32)
        # Of a cell that holds both sides the mean is of neither.
        found.append(_nearest(reduced, share, least=0.9))
    return FarColours(*found)


def tile_inputs(
    image: ImageArray,
    probability: ProbabilityArray,
    band: MaskArray,
    before: ProbabilityArray,
    known: ProbabilityArray,
    *,
    far: FarColours = NO_COLOURS,
) -> Floats:
    """Make the input of the network for the middle of a window: `INPUTS` x (H - 2 `CONTEXT`) x (W - 2 `CONTEXT`).

    Args:
        image: H x W x 3 uint8 RGB: a tile, and `CONTEXT` pixels on each side.
        probability: H x W float32 in [0, 1].
        band: H x W bool; see `uncertain_band`.
        before: H x W float32: alpha of the frame before, moved to where its things are in this frame.
        known: H x W float32 in [0, 1]: 1 where that can be relied on, 0 where there is none.
        far: Colours to take where the window has no sure pixel of a side: the part of `far_colours` that it covers.
    """
    inner = (slice(CONTEXT, -CONTEXT), slice(CONTEXT, -CONTEXT))
    picture = image[inner].astype(np.float32) / np.float32(255)
    uncertain = band[inner]
    # Channels last: what OpenCV and NumPy write, and the network reads fastest.
    made = np.zeros((*uncertain.shape, INPUTS), np.float32)
    made[..., :3] = picture
    made[..., 3] = made[..., 13] = probability[inner]
    made[..., 4] = uncertain
    made[..., 5] = before[inner] * known[inner]
    made[..., 6] = known[inner]
    if uncertain.any():
        sides = sample_sides(image, probability, band, far=far)
        told = [sides.alpha[:, None], sides.residual[:, None], sides.contrast[:, None]]
        rows, columns = np.nonzero(uncertain)
        made[rows, columns, 7:] = np.concatenate([*sides[:2], *told], axis=1)
    return made.transpose(2, 0, 1)


def sample_sides(
    image: ImageArray, probability: ProbabilityArray, band: MaskArray, *, far: FarColours = NO_COLOURS
) -> Sides:
    """Solve I = alpha F + (1 - alpha) B for the band's pixels in the middle of a window, from samples of F and B.

    The samples are the nearest sure pixel of a side, and means of a small and of a large window. Of their pairs, the
    one is taken that explains the colour of the pixel best (Wang and Cohen, *Optimized Color Sampling for Robust
    Matting*, CVPR 2007). The arguments are those of `tile_inputs`.
    """
    height, width = probability.shape
    small = (width // 2, height // 2)
    reduced = np.asarray(cv2.resize(image, small, interpolation=cv2.INTER_AREA), np.float32) / np.float32(255)
    uncertain = band[CONTEXT:-CONTEXT, CONTEXT:-CONTEXT]
    rows, columns = np.nonzero(uncertain)
    pixels = image[rows + CONTEXT, columns + CONTEXT].T.astype(np.float32) / np.float32(255)
    places = (rows + CONTEXT) // 2, (columns + CONTEXT) // 2
    samples = []
    for sure, beyond in zip(_sides(probability, band), far, strict=True):
        share = np.asarray(cv2.resize(sure, small, interpolation=cv2.INTER_AREA), np.float32)
        samples.append([np.ascontiguousarray(each[places].T) for each in _samples(reduced, share, beyond)])
    return _best_pair(pixels, *samples)


def _sides(probability: ProbabilityArray, band: MaskArray) -> tuple[Floats, Floats]:
    """Return 1 for the sure pixels of the subject, and 1 for those of what is behind it: H x W float32 each."""
    inside = probability > 0.5
    return (inside & ~band).astype(np.float32), (~inside & ~band).astype(np.float32)


def _samples(image: Floats, share: Floats, beyond: Floats) -> list[Floats]:
    """Return samples of a side for every pixel, H x W x 3 each, the nearest first."""
    if float(share.max(initial=0)) <= 0.5:
        size = image.shape[1::-1]
        return [np.asarray(cv2.resize(beyond, size, interpolation=cv2.INTER_LINEAR), np.float32)] * (1 + len(WINDOWS))
    found = [_nearest(image, share, least=0.5)]
    weighed = image * share[..., None]
    for side in WINDOWS:
        mean, held = _mean(weighed, share, side)
        found.append(np.where((held > _LEAST)[..., None], mean, found[-1]))
    return found


def _nearest(image: Floats, share: Floats, *, least: float) -> Floats:
    """Return the colour around the nearest pixel that is of a side by this share or more; grey if there is none."""
    sure = share > least
    if not sure.any():
        return np.full_like(image, 0.5)
    _, labels = cv2.distanceTransformWithLabels(
        (~sure).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    colours = np.zeros((int(labels.max()) + 1, 3), np.float32)
    colours[labels[sure]] = _mean(image * share[..., None], share, 3)[0][sure]
    return np.asarray(colours[labels], np.float32)


def _mean(weighed: Floats, share: Floats, side: int) -> tuple[Floats, Floats]:
    """Return means of a side's colours in windows, and how much of each window is of that side."""
    total = np.asarray(cv2.blur(weighed, (side, side)), np.float32)
    held = np.asarray(cv2.blur(share, (side, side)), np.float32)
    return np.asarray(total / np.maximum(held, _TINY)[..., None], np.float32), held


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
    best = errors.reshape(-1, count).argmin(axis=0)
    first, second = np.divmod(best, len(backgrounds))
    every = np.arange(count)
    return Sides(
        np.stack(foregrounds)[first, :, every],
        np.stack(backgrounds)[second, :, every],
        alphas.reshape(-1, count)[best, every],
        np.sqrt(np.maximum(errors.reshape(-1, count)[best, every], 0)),
        np.sqrt(lengths.reshape(-1, count)[best, every]),
    )


def _dot(a: Floats, b: Floats) -> Floats:
    return np.asarray(a[0] * b[0] + a[1] * b[1] + a[2] * b[2], np.float32)
