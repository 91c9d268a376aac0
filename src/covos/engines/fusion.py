"""Two answers for one frame, found from the past and from the future, made one."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence

import torch

from covos.engines.follower import SURE, Answer
from covos.types import ObjectStatus

FADING = 40.0
"""Frames from a mask of the user's over which the trust in what followed from it falls to 1/e."""


def fuse(forward: Answer, backward: Answer | None, *, given: Mapping[int, Sequence[int]]) -> Answer:
    """Weigh two passes for each object by their confidence, and by how far they are from what the user gave.

    Args:
        forward: From the past.
        backward: From the future; None if there is none.
        given: For each object the ascending indices of the frames with a mask from the user.

    Returns:
        The weighted mean of the log-odds of each object. An object is in the state that the weightier pass says; if
        it is not present, it is nowhere.
    """
    if backward is None or not backward.objects:
        return forward
    if not forward.objects:
        return backward
    odds, statuses = [], []
    for identity in (*forward.ids, *(other for other in backward.ids if other not in forward.ids)):
        passes = [
            (answer.log_odds[answer.ids.index(identity)], answer.objects[answer.ids.index(identity)], gap)
            for answer, gap in (
                (forward, _since(given[identity], forward.index)),
                (backward, _until(given[identity], forward.index)),
            )
            if identity in answer.ids
        ]
        weights = [max(status.confidence, 1e-3) * math.exp(-gap / FADING) for _, status, gap in passes]
        best = max(range(len(passes)), key=lambda k: weights[k])
        mean = sum(
            (part[0].float().cpu() * weight for part, weight in zip(passes, weights, strict=True)), torch.zeros(())
        )
        mean = mean / sum(weights)
        status = passes[best][1]
        odds.append(mean if status.state == "present" else mean.clamp(max=-SURE))
        confidence = sum(part[1].confidence * weight for part, weight in zip(passes, weights, strict=True))
        statuses.append(ObjectStatus(id=identity, state=status.state, confidence=confidence / sum(weights)))
    return Answer(index=forward.index, log_odds=torch.stack(odds), objects=tuple(statuses))


def _since(frames: Sequence[int], index: int) -> float:
    place = bisect_right(frames, index)
    return index - frames[place - 1] if place else math.inf


def _until(frames: Sequence[int], index: int) -> float:
    place = bisect_left(frames, index)
    return frames[place] - index if place < len(frames) else math.inf
