"""The soft answer of a frame whose mask was changed in places: what went takes its skirt along, what came brings one.

A probability reaches beyond its mask, by a skirt below 1/2, and rises to 1 within it. Each such pixel belongs to the
contour that is nearest to it. So a change of the mask changes the pixels whose nearest contour has gone or come, and
no others.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.types import MaskArray, ProbabilityArray
from covos.masks.distance import distance_to
from covos.masks.frame_mask import FrameMask
from covos.masks.soft import SKIRT, SURE, SoftMask, soft_edge

_SEEN = SURE / 255
"""Probabilities above this are kept, so they belong to what is seen of a skirt."""
_INWARDS = 2 * SKIRT
"""Depth of the soft edge inside a mask, over the height of the frame: deeper doubt is no edge."""
_OUTWARDS = 4 * SKIRT
"""Width of the skirt that a new part brings, likewise: farther away the old answer knows as much."""
_SEAM = 2 * SKIRT
"""Width over which the one answer passes into the other, likewise: a step would be seen."""

Shares = NDArray[np.float32]


def mended(
    old: ProbabilityArray, new: ProbabilityArray, *, before: MaskArray, now: MaskArray, taken: MaskArray
) -> ProbabilityArray:
    """Return the probability of a mask that was put together of an old answer and a new one.

    The skirt of a part that went is no more than either answer has there. If the answer that is taken does not fit
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
    height, (gone, came) = now.shape[0], (before & ~now, now & ~before)
    fresh = taken.astype(np.float32)
    skirt = np.zeros_like(fresh)
    if gone.any():
        skirt = _nearer(gone, before & ~gone, height=height) * _joined(old > _SEEN, gone, beside=before)
        _add(fresh, _nearer(gone, ~now & ~gone, height=height, reach=_INWARDS) * now)
    if came.any():
        _add(fresh, _nearer(came, ~before & ~came, height=height, reach=_INWARDS) * before)
        around = _nearer(came, now & ~came, height=height, reach=_OUTWARDS)
        _add(fresh, around * _joined(new > _SEEN, came, beside=now))
    made = old + (np.minimum(old, new) - old) * skirt
    made += (new - made) * fresh
    wrong = ((skirt > 0) | (fresh > 0)) & ((made > 0.5) != now)
    if wrong.any():
        made[wrong] = soft_edge(now)[wrong]
    return np.asarray(made, np.float32)


def with_edge_of(mask: FrameMask, former: FrameMask) -> FrameMask:
    """Give a frame whose masks were changed by hand the soft edge that it had, and a drawn one where they changed."""
    if former.soft is None or former.size != mask.size:
        return mask
    before, now = former.mask, mask.mask
    if np.array_equal(before, now):
        return replace(mask, soft=former.soft)
    old = former.probability
    made = mended(old, soft_edge(now), before=before, now=now, taken=before != now)
    return replace(mask, soft=SoftMask.of(made, now, bits=former.soft.bits))


def _nearer(part: MaskArray, rest: MaskArray, *, height: int, reach: float | None = None) -> Shares:
    """Return how much each pixel belongs to a part rather than to the rest, H x W in [0, 1]; less and less far away."""
    far = distance_to(part)
    shares = 0.5 + (np.minimum(distance_to(rest), 1e6) - far) / max(_SEAM * height, 1.0)
    if reach is not None:
        shares = np.minimum(shares, 2 - 2 * far / max(reach * height, 2.0))
    return np.asarray(np.clip(shares, 0, 1), np.float32)


def _joined(seen: MaskArray, part: MaskArray, *, beside: MaskArray) -> MaskArray:
    """Return the seen pixels outside a mask that hang together, outside of it, with a part of it."""
    whole = (seen & ~beside) | part
    count, pieces = cv2.connectedComponents(whole.view(np.uint8), connectivity=8)
    joined = np.zeros(count, np.bool_)
    joined[pieces[part]] = True
    return np.asarray(joined[pieces] & ~beside, np.bool_)


def _add(shares: Shares, more: Shares) -> None:
    np.maximum(shares, more, out=shares)
