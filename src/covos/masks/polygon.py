"""The pixels of a polygon, as COCO's own code has them (``rleFrPoly`` in ``maskApi.c``), on which nobody else agrees.

The outline is drawn at five times the size; where it crosses the middle of a column of pixels, a run begins or ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from covos.core.errors import AnnotationError
from covos.core.limits import limits, raised
from covos.masks.rle import RLE

_SCALE = 5
_FAR = 1e9


def polygon_to_rle(corners: Sequence[float], *, size: tuple[int, int]) -> RLE:
    """Return the mask of one polygon.

    Args:
        corners: x0, y0, x1, y1, ... in pixels, three corners at least.
        size: (height, width) of the picture.

    Raises:
        AnnotationError: They are no such numbers, lie far outside the picture, or are too many.
    """
    height, width = size
    numbers = all(type(each) in (int, float) and abs(each) < _FAR for each in corners)
    if not numbers or len(corners) < 6 or len(corners) % 2:
        raise _refused("it is not a list of x0, y0, x1, y1, ... of three corners or more")
    xy = np.array([float(each) for each in corners]).reshape(-1, 2)
    if np.abs(xy).max() > 4 * max(size) + 1000:
        raise _refused(f"a corner lies far outside the picture, {width}x{height}")
    x, y = ((_SCALE * xy + 0.5).astype(np.int64)).T
    steps = int(np.maximum(np.abs(np.diff(x, append=x[0])), np.abs(np.diff(y, append=y[0]))).sum())
    if steps > limits().values:
        raise _refused(f"its outline has {steps} steps; {raised('values', steps)}")
    u, v = _outline(x, y)
    # A run begins or ends where the outline goes to another fine column, at the middle of a column of pixels.
    moved = np.flatnonzero(np.diff(u)) + 1
    now, before = u[moved], u[moved - 1]
    column = (np.where(now < before, now, now - 1) + 0.5) / _SCALE - 0.5
    row = (np.minimum(v[moved], v[moved - 1]) + 0.5) / _SCALE - 0.5
    kept = (np.floor(column) == column) & (column >= 0) & (column <= width - 1)
    places = column[kept].astype(np.int64) * height + np.ceil(row[kept].clip(0, height)).astype(np.int64)
    ends = np.append(np.sort(places), height * width)
    return RLE.from_coco({"size": [height, width], "counts": np.diff(ends, prepend=0).tolist()})


def _outline(x: NDArray[np.int64], y: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return every point of the closed outline, one step in the longer direction apart."""
    across, down = [], []
    for start, end in pairwise([*zip(x.tolist(), y.tolist(), strict=True), (int(x[0]), int(y[0]))]):
        dx, dy = abs(end[0] - start[0]), abs(end[1] - start[1])
        flip = start[0] > end[0] if dx >= dy else start[1] > end[1]
        (xs, ys), (xe, ye) = (end, start) if flip else (start, end)
        along = np.arange(max(dx, dy) + 1)[:: -1 if flip else 1]
        slope = ((ye - ys) / dx if dx >= dy else (xe - xs) / dy) if dx or dy else 0.0
        if dx >= dy:
            across.append(along + xs)
            down.append((ys + slope * along + 0.5).astype(np.int64))
        else:
            down.append(along + ys)
            across.append((xs + slope * along + 0.5).astype(np.int64))
    return np.concatenate(across), np.concatenate(down)


def _refused(why: str) -> AnnotationError:
    return AnnotationError(
        "a polygon cannot be read", why=why, fix="export the file again, with masks if that is offered"
    )
