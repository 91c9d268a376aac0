"""Give a mask that nobody has to believe was found to frames that could not be read, or not be computed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal, TypeVar

import cv2
import numpy as np

from covos.core.types import FrameResult

ProgressT = TypeVar("ProgressT")


def with_held_masks(
    results: Iterator[FrameResult | ProgressT], *, unreadable: Literal["hold", "empty"] = "hold"
) -> Iterator[FrameResult | ProgressT]:
    """Replace the masks of pictures that could not be read, and of frames for which a network gave no numbers.

    Whatever was computed for the picture that stands in the place of an unreadable one is left out. Probabilities that
    are NaN or infinite must not pass for an empty mask: the status of such a frame becomes ``"uncomputed"``. Both get
    the masks of the frame before, none at the beginning; their confidence is not a number.

    Args:
        results: Of frames in the order in which they are followed; anything else is passed on.
        unreadable: ``"empty"`` gives unreadable pictures no mask.
    """
    before: FrameResult | None = None
    for result in results:
        if not isinstance(result, FrameResult):
            yield result
            continue
        held = hold(result, before, unreadable=unreadable)
        before = result if held is result else before
        yield held


def hold(
    result: FrameResult, before: FrameResult | None, *, unreadable: Literal["hold", "empty"] = "hold"
) -> FrameResult:
    """Return a result, or if nothing can be known of its frame, what `with_held_masks` gives in its place.

    ``before`` is the latest result of which something was known.
    """
    if result.frame.status == "unreadable":
        return _held(result, before if unreadable == "hold" else None)
    # A sum is finite if all its numbers are, and takes a third of the time of a look at each.
    if not math.isfinite(cv2.sumElems(result.probability)[0]):
        return _held(replace(result, frame=replace(result.frame, status="uncomputed")), before)
    return result


def _held(result: FrameResult, before: FrameResult | None) -> FrameResult:
    if before is not None and before.labels.shape == result.labels.shape:
        return replace(before, frame=result.frame, confidence=math.nan, between=False)
    return FrameResult(
        frame=result.frame,
        probability=np.zeros_like(result.probability),
        labels=np.zeros_like(result.labels),
        confidence=math.nan,
    )
