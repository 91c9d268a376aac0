"""Give the frames whose pictures could not be read a mask that nobody has to believe was found."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal, TypeVar

import numpy as np

from covos.core.types import FrameResult

ProgressT = TypeVar("ProgressT")


def with_held_masks(
    results: Iterator[FrameResult | ProgressT], *, choice: Literal["hold", "empty"]
) -> Iterator[FrameResult | ProgressT]:
    """Replace the masks of unreadable pictures, whatever was computed for the pictures that stand in their places.

    Args:
        results: Of all frames in order; anything else is passed on.
        choice: ``"hold"`` takes the masks of the frame before, none at the beginning; ``"empty"`` takes none. The
            confidence is not a number.
    """
    before: FrameResult | None = None
    for result in results:
        if not isinstance(result, FrameResult):
            yield result
            continue
        if result.frame.status != "unreadable":
            before = result
            yield result
        elif choice == "hold" and before is not None:
            yield replace(before, frame=result.frame, confidence=math.nan)
        else:
            yield FrameResult(
                frame=result.frame,
                probability=np.zeros_like(result.probability),
                labels=np.zeros_like(result.labels),
                confidence=math.nan,
            )
