"""The soft answer of a frame whose mask was changed in places: what went takes its skirt along, what came brings one.

A probability reaches beyond its mask, by a skirt below 1/2, and rises to 1 within it. Each such pixel belongs to the
contour that is nearest to it. So a change of the mask changes the pixels whose nearest contour has gone or come, and
no others.
"""

from __future__ import annotations

import cv2
import numpy as np

from covos.core.types import MaskArray, ProbabilityArray
from covos.masks.distance import distance_to, nearest_labels
from covos.masks.soft import EDGE, SURE, soft_edge

_SEEN = SURE / 255
"""Probabilities above this are kept, so they belong to what is seen of a skirt."""
_INWARDS = 2 * EDGE
"""Depth of the soft edge inside a mask, over the height of the frame: deeper doubt is no edge."""
_OUTWARDS = 4 * EDGE
"""Width of the skirt that a new part brings, likewise: farther away the old answer knows as much."""


def mended(
    old: ProbabilityArray, new: ProbabilityArray, *, before: MaskArray, now: MaskArray, taken: MaskArray
) -> ProbabilityArray:
    """Return the probability of a mask that was put together of an old answer and a new one.

    The skirt of a part that went is no more than either answer has there. Where the answer that is taken does not fit
    the mask as it is now, the edge is drawn.

    Args:
        old: H x W float32 in [0, 1], of the mask before.
        new: Of the same kind, of the other answer.
        before: H x W bool, the mask before: all objects together.
        now: H x W bool, the mask that was made of both.
        taken: H x W bool, the pixels in which the new answer is taken; all others are as before in the mask.

    Returns:
        H x W float32 in [0, 1]: the old one, but in what was taken and along the contours that came or went.
    """
    gone, came = before & ~now, now & ~before
    skirt = _skirt(old, before, gone) & ~taken
    fresh = taken | _beside(now, gone) | _beside(before, came)
    if came.any():
        fresh |= _skirt(new, now, came) & (distance_to(came) <= _reach(_OUTWARDS, now))
    made = np.where(fresh, new, old)
    made[skirt] = np.minimum(made, np.minimum(old, new))[skirt]
    wrong = (fresh | skirt) & ((made > 0.5) != now)
    if wrong.any():
        made[wrong] = soft_edge(now)[wrong]
    return np.asarray(made, np.float32)


def _skirt(probability: ProbabilityArray, mask: MaskArray, part: MaskArray) -> MaskArray:
    """Return the pixels outside a mask that are seen, hang together with a part of it, and are nearest to that part."""
    if not part.any():
        return np.zeros_like(part)
    of_part = nearest_labels(mask.astype(np.uint8) + part) == 2
    whole = (of_part & ~mask & (probability > _SEEN)) | part
    count, pieces = cv2.connectedComponents(whole.view(np.uint8), connectivity=8)
    joined = np.zeros(count, np.bool_)
    joined[pieces[part]] = True
    joined[0] = False
    return np.asarray(joined[pieces] & ~mask, np.bool_)


def _beside(mask: MaskArray, part: MaskArray) -> MaskArray:
    """Return the pixels of a mask, near its contour, to which a part of what lies outside it is the nearest of that."""
    if not part.any():
        return np.zeros_like(part)
    nearest = nearest_labels((~mask).astype(np.uint8) + part) == 2
    return np.asarray(mask & nearest & (distance_to(part) <= _reach(_INWARDS, mask)), np.bool_)


def _reach(share: float, mask: MaskArray) -> float:
    return max(share * mask.shape[0], 1.0)
