"""What every measure accepts as a mask, brought to one form."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from covos.errors import UsageError

BinaryArray: TypeAlias = NDArray[np.bool_] | NDArray[np.uint8]
"""H x W, bool or uint8; anything but 0 is foreground."""


def as_binary(mask: BinaryArray) -> NDArray[np.uint8]:
    """The mask as H x W uint8 of 0 and 1; a bool array is viewed, not copied.

    Raises:
        UsageError: The array is not two-dimensional, or not bool or uint8.
    """
    if mask.ndim != 2:
        raise UsageError(
            f"a mask of shape {mask.shape} cannot be scored",
            why="measures take one object in one frame: an H x W array",
            fix="pass one channel of one frame, for example labels == object_id",
        )
    if mask.dtype == np.bool_:
        binary: NDArray[np.uint8] = mask.view(np.uint8)
        return binary
    if mask.dtype == np.uint8:
        objects: NDArray[np.uint8] = (mask != 0).view(np.uint8)
        return objects
    raise UsageError(
        f"a mask of type {mask.dtype} cannot be scored",
        why="measures take binary masks: bool, or uint8 where non-zero is object",
        fix="threshold it first, for example probability > 0.5",
    )


def same_size(
    prediction: BinaryArray, truth: BinaryArray, *, void: BinaryArray | None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Both masks as 0 and 1, cleared where ``void`` is set.

    Raises:
        UsageError: The arrays are not two-dimensional, not of one size, or not bool or uint8.
    """
    p, g = as_binary(prediction), as_binary(truth)
    v = None if void is None else as_binary(void)
    if p.shape != g.shape or (v is not None and v.shape != g.shape):
        sizes = f"prediction {p.shape}, ground truth {g.shape}" + ("" if v is None else f", void {v.shape}")
        raise UsageError(
            f"masks of different sizes cannot be compared: {sizes}",
            why="pixels are compared one by one, and resizing a mask changes its score",
            fix="predict at the size of the ground truth",
        )
    if v is None:
        return p, g
    valid = v ^ np.uint8(1)
    return p & valid, g & valid
