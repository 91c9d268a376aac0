"""The inside of a mask, where the subject is solid though the network doubts it, and what lies clear of it."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.types import LabelArray, MaskArray, ProbabilityArray

SOLID = 2, 5
"""Depths inside of the mask in pixels at 480p, more in proportion in larger frames. At the first, an opacity that is
made of a probability begins to be solid, at the second it is. Nearer to the contour is the soft edge."""
CLEAR = 4, 10
"""Distances from the mask in pixels at 480p, likewise. At the first, such an opacity begins to fade, at the second
nothing is left of it: what the network half believes in there is a veil of the background, and no edge."""
SPECK = 400
"""Area in pixels at 480p, more in proportion in larger frames, of the largest hole that may be a doubt alone."""
SHALLOW = 0.2
"""A hole is a doubt alone if the probability falls by less than this from its rim into it. Doubt in glass and in dark
fur makes holes that are hardly below their rims; into a gap, it falls by more within a pixel or two."""
_RIM = 3
"""Width in pixels at 480p of the rim of a hole that it is compared with."""
_NARROW = 2.25
"""Standard deviations from the contour to where all is solid: there, 0.99 of what is near is inside."""
_FINE = 2.4
"""Standard deviation in pixels from which a mask is blurred at a smaller size: it is as smooth, in less time."""


def scale_of(height: int) -> float:
    """Return by how much lengths in pixels are larger than at 480p; edges are as wide in smaller frames, too."""
    return max(1.0, height / 480)


def doubted_holes(probability: ProbabilityArray, labels: LabelArray) -> MaskArray:
    """Find the holes of a mask that are no holes: small ones in which the probability is hardly lower than around them.

    If a network doubts all of a region, as glass, the mask has specks there that come and go. A gap, through which
    the background is seen, is darker than its rim.

    Args:
        probability: H x W float32 in [0, 1].
        labels: H x W uint8; 0 = background.

    Returns:
        H x W bool.
    """
    scale = scale_of(labels.shape[0])
    part = part_around(labels > 0)
    whole = np.zeros(labels.shape, np.bool_)
    found, labels, probability = whole[part], labels[part], probability[part]
    if not labels.size:
        return whole
    _, parts, facts, _ = cv2.connectedComponentsWithStats((labels == 0).view(np.uint8), connectivity=4)
    left, top, wide, high, area = facts.T[:5]
    enclosed = (left > 0) & (top > 0) & (left + wide < labels.shape[1]) & (top + high < labels.shape[0])
    enclosed[0] = False
    rim = round(_RIM * scale)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * rim + 1, 2 * rim + 1))
    for number in np.flatnonzero(enclosed & (area <= SPECK * scale**2)):
        place = tuple(
            slice(max(0, int(at) - rim), int(at + size) + rim)
            for at, size in ((top[number], high[number]), (left[number], wide[number]))
        )
        hole = parts[place] == number
        around = (cv2.dilate(hole.view(np.uint8), disc) > 0) & (labels[place] > 0)
        near = probability[place]
        found[place] |= hole & (near[around].mean() - near[hole].min() < SHALLOW)
    return whole


def clearness(inside: MaskArray, veil: MaskArray, *, feather: float = 0.0) -> NDArray[np.float32]:
    """Tell how far from a mask each pixel of a veil lies: H x W float32, 0 at the soft edge, 1 where nothing is left.

    Args:
        inside: H x W bool.
        veil: H x W bool: it is worked out around these pixels alone, and 0 elsewhere.
        feather: Pixels by which the soft edge is wider on request.
    """
    part = part_around(veil | inside)
    found = np.zeros(inside.shape, np.float32)
    if found[part].size:
        found[part] = solidity(~inside[part], feather=feather, depths=CLEAR, scale=scale_of(inside.shape[0]))
    return found


def solidity(
    inside: MaskArray, *, feather: float = 0.0, depths: tuple[float, float] = SOLID, scale: float | None = None
) -> NDArray[np.float32]:
    """Tell how deep in a mask each pixel lies: H x W float32, 0 in the soft edge and outside, 1 where it is solid.

    It is the share of the neighbourhood that is inside, by a Gaussian. So its steps are smooth whatever the contour is.
    The distance to the nearest pixel outside would make a disc around a hole of one pixel, and scallops along a rough
    contour.

    Args:
        inside: H x W bool.
        feather: Pixels by which the soft edge is wider on request.
        depths: Where it begins to be solid, and where it is, see `SOLID`.
        scale: See `scale_of`, if this is a part of a frame.
    """
    scale = scale_of(inside.shape[0]) if scale is None else scale
    # Distances are between centres of pixels, and the contour lies half a pixel before the first of them.
    begins, ends = (depth * scale + feather - 0.5 for depth in depths)
    deviation = ends / _NARROW
    lowest, highest = (math.erf(depth / deviation / math.sqrt(2)) / 2 + 0.5 for depth in (begins, ends))
    less = max(1, int(deviation / _FINE))
    part = part_around(inside, step=less)
    found = np.zeros(inside.shape, np.float32)
    if not found[part].size:
        return found
    share = np.clip((_blurred(inside[part], deviation, less=less) - lowest) / (highest - lowest), 0, 1)
    # A smooth step: alpha has no crease where it begins and ends.
    found[part] = share * share * (3 - 2 * share)
    return found


def part_around(mask: MaskArray, *, step: int = 1) -> tuple[slice, slice]:
    """Return the rows and columns of a mask and at least a step more on each side, in whole steps."""
    spans = []
    for axis, whole in zip((1, 0), mask.shape, strict=True):
        at = np.flatnonzero(mask.any(axis=axis))
        first, last = (int(at[0]), int(at[-1])) if at.size else (0, -1)
        start = max(0, first // step - 1) * step
        spans.append(slice(start, min(whole, (last // step + 2) * step) if at.size else 0))
    return spans[0], spans[1]


def _blurred(mask: MaskArray, deviation: float, *, less: int) -> NDArray[np.float32]:
    """Blur a mask, so many times smaller; beyond the border it goes on as it is there."""
    height, width = mask.shape
    values: NDArray[Any] = mask.astype(np.float32)
    if less > 1:
        values = cv2.copyMakeBorder(values, 0, -height % less, 0, -width % less, cv2.BORDER_REPLICATE)
        values = cv2.resize(values, None, fx=1 / less, fy=1 / less, interpolation=cv2.INTER_AREA)
    values = cv2.GaussianBlur(values, (0, 0), deviation / less, borderType=cv2.BORDER_REPLICATE)
    if less > 1:
        values = cv2.resize(values, None, fx=less, fy=less, interpolation=cv2.INTER_LINEAR)
    return np.asarray(values[:height, :width], np.float32)
