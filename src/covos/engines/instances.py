"""One subject told apart into things: the separate parts of a mask, what each looks like, and how they overlap.

Pure functions on small maps, at stride 4 of the encoded frame.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.types import MaskArray

Look = NDArray[np.float32]
"""Mean key of a thing, of length 1: what it looks like to the network."""


def split(solid: MaskArray, *, least: int, gap: int) -> tuple[MaskArray, ...]:
    """The separate parts of a mask.

    Args:
        solid: H x W bool.
        least: Smaller parts, in cells, are dropped.
        gap: Parts that are no further apart than so many cells are one: a thing behind a post stays one thing.

    Returns:
        H x W bool each, the largest first.
    """
    joined = solid.astype(np.uint8)
    if gap:
        reach = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (gap + 1, gap + 1))
        joined = np.asarray(cv2.dilate(joined, reach), np.uint8)
    count, numbers = cv2.connectedComponents(joined, connectivity=8)
    parts = [solid & (numbers == number) for number in range(1, count)]
    return tuple(sorted((part for part in parts if part.sum() >= least), key=lambda part: -int(part.sum())))


def look_of(key_NK: NDArray[np.float32], mask: MaskArray, *, cells: tuple[int, int]) -> Look:
    """What a thing looks like: the mean of the keys that it covers.

    Args:
        key_NK: Keys of a frame, N = h x w.
        mask: H x W bool, not empty.
        cells: (h, w).

    Returns:
        K float32 of length 1.
    """
    share = cv2.resize(mask.astype(np.float32), cells[::-1], interpolation=cv2.INTER_AREA).reshape(-1)
    mean = share @ key_NK
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), np.float32)


def overlap(a: MaskArray, b: MaskArray) -> float:
    """Intersection over union; 0 if both are empty."""
    either = int((a | b).sum())
    return int((a & b).sum()) / either if either else 0.0


def share_inside(part: MaskArray, whole: MaskArray) -> float:
    """How much of a mask lies in another; 0 for an empty one."""
    area = int(part.sum())
    return int((part & whole).sum()) / area if area else 0.0
