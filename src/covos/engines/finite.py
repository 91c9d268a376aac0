"""Tell the frames for which a network gave no numbers, and give them the mask before, so that none passes for empty."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import TypeVar

import cv2
import numpy as np

from covos.core.types import FrameResult

ProgressT = TypeVar("ProgressT")


def hold_uncomputed(results: Iterator[FrameResult | ProgressT]) -> Iterator[FrameResult | ProgressT]:
    """Pass results on; one whose probabilities are NaN or infinite gets the masks of the frame before.

    Its frame's status becomes ``"uncomputed"``, its confidence is not a number. At the beginning it has no mask.

    Args:
        results: Of all frames in order; anything else is passed on.
    """
    before: FrameResult | None = None
    for result in results:
        if not isinstance(result, FrameResult):
            yield result
            continue
        before = result if cv2.checkRange(result.probability)[0] else _held(result, before)
        yield before


def _held(result: FrameResult, before: FrameResult | None) -> FrameResult:
    frame = replace(result.frame, status="uncomputed")
    if before is not None and before.labels.shape == result.labels.shape:
        return replace(before, frame=frame, confidence=math.nan)
    return FrameResult(
        frame=frame,
        probability=np.zeros_like(result.probability),
        labels=np.zeros_like(result.labels),
        confidence=math.nan,
    )
