"""Predictions of the backward pass: they wait in a file for the forward pass, and are fused with its own."""

from __future__ import annotations

import math
import pickle
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from covos.core.types import ObjectStatus, Presence
from covos.engines.follow_pass import GIVEN_LOGIT, FramePrediction

STEP = 0.125
"""Step between stored log-odds: an eighth changes a probability by 0.03 at most. The range is then +-15.9."""
FADING = 40.0
"""Frames from a mask of the user's over which the trust in what followed from it falls to 1/e."""
UNSEEN: dict[Presence, float] = {"present": 1.0, "occluded": 0.6, "lost": 0.3}
"""Weight of a pass by its state: one that no longer sees the object may have lost it, where the other still has it."""
AGREEING = 0.5
"""J of two masks from which their mean is taken; of two places the mean would be neither."""


class Spool:
    """Predictions by frame, in a temporary file; a context manager.

    Memory stays flat. A frame takes some kilobytes: log-odds in 8 bits, deflated.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="covos-")  # noqa: SIM115 - closed by __exit__
        self._places: dict[int, tuple[int, int]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def put(self, prediction: FramePrediction) -> None:
        """Keep a prediction; one of the same frame is replaced."""
        steps = (prediction.log_odds / STEP).round().clamp(-127, 127).to(torch.int8).cpu().numpy()
        content = zlib.compress(pickle.dumps((steps, prediction.objects)), 1)
        self._file.seek(0, 2)
        self._places[prediction.index] = self._file.tell(), len(content)
        self._file.write(content)

    def get(self, index: int) -> FramePrediction | None:
        """Return the prediction for a frame; None if there is none."""
        if index not in self._places:
            return None
        start, length = self._places[index]
        self._file.seek(start)
        steps, objects = pickle.loads(zlib.decompress(self._file.read(length)))
        return FramePrediction(index=index, log_odds=torch.from_numpy(steps.astype(np.float32)) * STEP, objects=objects)


class _Side(NamedTuple):
    """One pass's word on one object."""

    odds_HW: Tensor
    status: ObjectStatus
    weight: float


def fuse(
    forward: FramePrediction, backward: FramePrediction | None, *, given: Mapping[int, Sequence[int]]
) -> FramePrediction:
    """Weigh two passes for each object by their confidence, and by their distance from what the user gave.

    ``given`` has for each object the indices of the frames with a mask from the user. The result is for each
    object the weightier pass, and where both show it in the same place the weighted mean of the log-odds. An object
    that is not present is nowhere.
    """
    if backward is None or not backward.objects:
        return forward
    if not forward.objects:
        return backward
    odds, statuses = [], []
    for identity in (*forward.ids, *(other for other in backward.ids if other not in forward.ids)):
        gone = [forward.index - frame for frame in given[identity]]
        since = min((gap for gap in gone if gap >= 0), default=math.inf)
        until = min((-gap for gap in gone if gap <= 0), default=math.inf)
        gaps = ((forward, since), (backward, until))
        sides = [_side(prediction, identity, gap) for prediction, gap in gaps if identity in prediction.ids]
        best = max(sides, key=lambda each: each.weight)
        agreeing = [each for each in sides if each is best or _agree(each, best)]
        total = sum(each.weight for each in agreeing)
        mean = torch.stack([each.odds_HW * (each.weight / total) for each in agreeing]).sum(dim=0)
        state = best.status.state
        if state == "present" and not (mean > 0).any():
            state = "occluded"
        odds.append(mean if state == "present" else mean.clamp(max=-GIVEN_LOGIT))
        confidence = sum(each.status.confidence * each.weight for each in agreeing) / total
        statuses.append(ObjectStatus(id=identity, state=state, confidence=confidence))
    return FramePrediction(index=forward.index, log_odds=torch.stack(odds), objects=tuple(statuses))


def _side(prediction: FramePrediction, identity: int, gap: float) -> _Side:
    place = prediction.ids.index(identity)
    status = prediction.objects[place]
    weight = max(status.confidence, 1e-3) * UNSEEN[status.state] * math.exp(-gap / FADING)
    # So far from anything given, nothing is left of the trust; what is there must do.
    return _Side(prediction.log_odds[place].float().cpu(), status, max(weight, 1e-30))


def _agree(one: _Side, other: _Side) -> bool:
    """True if both show the object, and in the same place, or neither does."""
    if one.status.state != "present" or other.status.state != "present":
        return one.status.state == other.status.state
    a, b = one.odds_HW > 0, other.odds_HW > 0
    return bool((a & b).sum() >= AGREEING * (a | b).sum())
