"""The opacity of what a trimap leaves unknown, without a network.

A network sees the surroundings of a contour. A trimap may leave half of a thing unknown, and says nothing about it; but
what it says is sure. So colours of all of its rim explain the unknown pixels (`covos.engines.pairs`), and what they
give is brought together along the colours of the picture (`covos.engines.colour_lines`), at half the size. The fine
detail comes back with the picture: the opacity is a linear function of the colour around each pixel.

Shape legend: H height, W width.
"""

from __future__ import annotations

import cv2
import numpy as np

from covos.core.arguments import checked
from covos.core.types import ImageArray, MaskArray, ProbabilityArray
from covos.engines.colour_lines import ColourLines
from covos.engines.pairs import best_pairs
from covos.masks.matte import check_pair

SURE = 0.02
"""A trimap this near to 0 or 1 says which side a pixel is of."""
SMALLER = 2
"""The picture is reduced so many times."""
AROUND = 32
"""Pixels around the unknown ones that are looked at."""
TRUST = 0.2
"""Weight of a pixel's own colours, beside the rule that it follows the colours around; that of a sure pixel is 100."""
COST = 4.0
"""Cost of a pair at which its weight is a third."""
HAZE = 0.03
"""An opacity this near to 0 or 1 is made it: values that are brought together are never quite either."""


@checked()
def solve_trimap(image: ImageArray, trimap: ProbabilityArray, *, seed: int = 0) -> ProbabilityArray:
    """Find the opacity of the unknown part of a trimap, by colours alone; no network runs.

    Args:
        image: H x W x 3 uint8 RGB.
        trimap: H x W float32: 1 for the subject, 0 for the background, anything between for unknown.
        seed: Of the colours that are tried at random; the same seed gives the same answer.

    Returns:
        H x W float32 in [0, 1]; the trimap itself where it is sure, and everywhere if one of the sides is missing.

    Raises:
        UsageError: The picture is not H x W x 3 uint8, or the trimap not H x W float32 in [0, 1].

    Source: He et al., *A Global Sampling Method for Alpha Matting*, CVPR 2011; Levin et al., *A Closed-Form Solution to
    Natural Image Matting*, CVPR 2006.
    """
    check_pair(image, trimap, what="the trimap")
    unknown = (trimap > SURE) & (trimap < 1 - SURE)
    found = trimap.copy()
    if not unknown.any():
        return found
    rows, columns = (np.flatnonzero(unknown.any(axis=axis)) for axis in (1, 0))
    part = tuple(slice(max(0, int(each[0]) - AROUND), int(each[-1]) + AROUND + 1) for each in (rows, columns))
    found[part] = np.where(unknown[part], _solved(image[part], trimap[part], seed=seed), found[part])
    return found


def solve_band(image: ImageArray, opacity: ProbabilityArray, band: MaskArray) -> ProbabilityArray:
    """Find the opacity of a band by colours alone: the trimap is a mask's, H x W float32, but for the band, H x W."""
    return solve_trimap(image, np.where(band, 0.5, opacity > 0.5).astype(np.float32))


def _solved(image: ImageArray, trimap: ProbabilityArray, *, seed: int) -> ProbabilityArray:
    height, width = trimap.shape
    small = max(1, width // SMALLER), max(1, height // SMALLER)
    reduced = np.asarray(cv2.resize(image, small, interpolation=cv2.INTER_AREA), np.uint8)
    sides = tuple(
        # Where cells are no whole number of pixels, the mean of ones is a little less than one.
        cv2.resize(side.astype(np.float32), small, interpolation=cv2.INTER_AREA) >= 1 - 1e-4
        for side in (trimap >= 1 - SURE, trimap <= SURE)
    )
    if not sides[0].any() or not sides[1].any():
        return trimap
    alpha, cost = best_pairs(reduced, (sides[0], sides[1]), rng=np.random.default_rng(seed))
    weight = np.where(sides[0] | sides[1], 100.0, TRUST * np.exp(-cost / COST)).astype(np.float32)
    lines = ColourLines(reduced.astype(np.float32) / np.float32(255))
    slopes, offsets = (
        cv2.resize(each, (width, height), interpolation=cv2.INTER_LINEAR)
        for each in lines.fit(lines.solve(alpha, weight))
    )
    found = (slopes * (image.astype(np.float32) / np.float32(255))).sum(axis=2) + offsets
    return np.asarray(np.clip((found - HAZE) / (1 - 2 * HAZE), 0, 1), np.float32)
