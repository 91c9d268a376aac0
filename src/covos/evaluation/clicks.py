"""A user who clicks, simulated from the truth, as interactive segmentation is measured.

Each click goes into the middle of the largest region of error. This is the connected region of missing or of excess
pixels with the largest area; its middle is the pixel that is furthest from its edge (Xu et al., *Deep Interactive
Object Selection*, CVPR 2016, section 5.1). Before the first click everything is missing, so that is in the middle of
the object.
"""

from __future__ import annotations

import cv2
import numpy as np

from covos.core.types import MaskArray, Point
from covos.masks.distance import depth_in


def next_click(found: MaskArray | None, truth: MaskArray, *, void: MaskArray | None = None) -> Point | None:
    """Return where the user clicks next: positive where something is missing, negative where there is too much.

    Nothing counts as wrong where ``void`` is set. Returns None if nothing is wrong.
    """
    known = np.ones(truth.shape, np.bool_) if void is None else ~void
    there = np.zeros(truth.shape, np.bool_) if found is None else found
    missing, excess = largest_region(truth & ~there & known), largest_region(there & ~truth & known)
    positive = int(missing.sum()) >= int(excess.sum())
    region = missing if positive else excess
    if not region.any():
        return None
    row, column = middle_of(region)
    return Point(x=column, y=row, positive=positive)


def largest_region(mask: MaskArray) -> MaskArray:
    """Return the connected part with the most pixels; the mask itself if it is empty."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    if count < 2:
        return mask
    return np.asarray(labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA])), np.bool_)


def middle_of(region: MaskArray) -> tuple[int, int]:
    """Return the (row, column) that is furthest from what is not in a region; beyond the picture nothing is."""
    row, column = np.unravel_index(int(np.argmax(depth_in(region))), region.shape)
    return int(row), int(column)
