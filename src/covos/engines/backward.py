"""Predictions of the backward pass: they wait in a file for the forward pass, and are fused with its own."""

from __future__ import annotations

import math
import pickle
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from covos.core.errors import EnvironmentProblem
from covos.core.types import ObjectStatus, Presence
from covos.engines.follow_pass import GIVEN_LOGIT, FramePrediction
from covos.engines.presence import emptied

STEP = 0.125
"""Step between stored log-odds: an eighth changes a probability by 0.03 at most. The range is then +-15.9."""
UNSEEN: dict[Presence, float] = {"present": 1.0, "occluded": 0.4, "lost": 0.2}
"""Weight of a pass by its state: one that no longer sees the object may have lost it, where the other still has it."""
SURE = 2.0
"""Log-odds from which a pass is sure of a pixel (p = 0.88). Beyond, it is not heard louder: distance must decide."""
LEAST = 1e-6
"""Least probability of the background, where several objects claim a pixel."""


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
        kept = (_steps(prediction), prediction.objects, prediction.between)
        content = zlib.compress(pickle.dumps(kept), 1)
        try:
            self._file.seek(0, 2)
            self._places[prediction.index] = self._file.tell(), len(content)
            self._file.write(content)
            self._file.flush()
        except OSError as error:
            raise EnvironmentProblem(
                "the answers of the pass backward could not be kept in a temporary file",
                why=f"{error.strerror or error} in {tempfile.gettempdir()}; a frame takes {len(content)} bytes",
                fix="free some space, or set TMPDIR to another disk",
            ) from error

    def get(self, index: int) -> FramePrediction | None:
        """Return the prediction for a frame; None if there is none."""
        if index not in self._places:
            return None
        start, length = self._places[index]
        self._file.seek(start)
        steps, objects, between = pickle.loads(zlib.decompress(self._file.read(length)))
        return FramePrediction(index=index, log_odds=_odds(steps), objects=objects, between=between)


def as_spooled(prediction: FramePrediction) -> FramePrediction:
    """Return a prediction as a spool gives it back: on the processor, its log-odds in whole steps."""
    return replace(prediction, log_odds=_odds(_steps(prediction)))


def _steps(prediction: FramePrediction) -> NDArray[np.int8]:
    return np.asarray((prediction.log_odds / STEP).round().clamp(-127, 127).to(torch.int8).cpu().numpy(), np.int8)


def _odds(steps: NDArray[np.int8]) -> Tensor:
    return torch.from_numpy(steps.astype(np.float32)) * STEP


class _Side(NamedTuple):
    """One pass's word on one object: the logit of each pixel, and how far it is to be trusted."""

    logit_HW: Tensor
    status: ObjectStatus
    weight: float


def fuse(
    forward: FramePrediction, backward: FramePrediction | None, *, given: Mapping[int, Sequence[int]]
) -> FramePrediction:
    """Fuse the predictions of two passes for one frame, object by object and pixel by pixel.

    The trust in a pass falls with its distance, in frames, from the mask of the user's that it comes from, and rises
    with its confidence. Next to that mask it is all but alone; far from both, confidence decides. The more trusted
    pass says if the object is there at all. If both passes show it, they vote on each pixel. A value that both agree on
    stays. If both are sure and disagree, the more trusted pass decides. A pass that is unsure gives way to one that is
    sure. If nothing would be left, because they see it in two places, the more trusted pass decides.

    The confidence falls where their masks differ: the one that is less trusted may be right.

    Args:
        forward: Prediction of the pass that comes from earlier frames.
        backward: Prediction of the pass that comes from later frames; None if there is none.
        given: For each object the indices of the frames with a mask from the user.

    Returns:
        The objects of both passes, those of the forward one first. An object that is not present is nowhere. A frame
        that one of the passes has looked at is not ``between``.
    """
    if backward is None or not backward.objects:
        return forward
    if not forward.objects:
        return backward
    logits, statuses = [], []
    for identity in (*forward.ids, *(other for other in backward.ids if other not in forward.ids)):
        gone = [forward.index - frame for frame in given[identity]]
        since = min((gap for gap in gone if gap >= 0), default=math.inf)
        until = min((-gap for gap in gone if gap <= 0), default=math.inf)
        gaps = ((forward, since), (backward, until))
        sides = [_side(prediction, identity, gap) for prediction, gap in gaps if identity in prediction.ids]
        best = max(sides, key=lambda each: each.weight)
        agreeing = [each for each in sides if (each.status.state == "present") == (best.status.state == "present")]
        fused, state = _vote(agreeing), best.status.state
        total = sum(each.weight for each in agreeing)
        confidence = sum(each.status.confidence * each.weight for each in agreeing) / total
        status = ObjectStatus(id=identity, state=state, confidence=confidence * _concord(agreeing))
        if state == "present" and not (fused > 0).any():
            if all(bool((each.logit_HW > 0).any()) for each in agreeing):
                fused = best.logit_HW
            else:
                status = emptied(status)
        logits.append(fused if status.state == "present" else torch.full_like(fused, -GIVEN_LOGIT))
        statuses.append(status)
    odds = _over_background(torch.stack(logits))
    for row, status in zip(odds, statuses, strict=True):
        # If the background is unlikely too, an object that is nowhere must not gain by it.
        row.clamp_(max=math.inf if status.state == "present" else -GIVEN_LOGIT)
    made = forward.between and backward.between
    return FramePrediction(index=forward.index, log_odds=odds, objects=tuple(statuses), between=made)


def _side(prediction: FramePrediction, identity: int, gap: float) -> _Side:
    row = prediction.ids.index(identity)
    status = prediction.objects[row]
    weight = max(status.confidence, 1e-3) * UNSEEN[status.state] / (1 + gap)
    odds = prediction.log_odds.double().cpu()
    # Over all else, not over the background alone: where another object is, that says nothing.
    others = [torch.zeros_like(odds[row]), *(each for other, each in enumerate(odds) if other != row)]
    logit = odds[row] - torch.logsumexp(torch.stack(others), dim=0)
    # So far from anything given, nothing is left of the trust; what is there must do.
    return _Side(logit, status, max(weight, 1e-30))


def _vote(sides: Sequence[_Side]) -> Tensor:
    """Return the mean of the logits, in which a pass that is more than sure weighs less, and so counts as sure."""
    weights = [each.weight * (SURE / each.logit_HW.abs().clamp(min=SURE)) for each in sides]
    votes = [weight * each.logit_HW for weight, each in zip(weights, sides, strict=True)]
    return torch.stack(votes).sum(dim=0) / torch.stack(weights).sum(dim=0)


def _concord(sides: Sequence[_Side]) -> float:
    """Return the J that is left of the more trusted side's mask if each side is right as often as it is trusted."""
    first, *rest = sides
    if not rest:
        return 1.0
    masks = [each.logit_HW > 0 for each in sides]
    either = int((masks[0] | masks[1]).sum())
    same = int((masks[0] & masks[1]).sum()) / either if either else 1.0
    lesser = min(each.weight for each in sides) / (first.weight + rest[0].weight)
    return 1 - lesser * (1 - same)


def _over_background(logit_OHW: Tensor) -> Tensor:
    """Return the log-odds of each object over the background, of its logits over all else."""
    probability = torch.sigmoid(logit_OHW)
    background = (1 - probability.sum(dim=0)).clamp(min=LEAST)
    return (torch.log(probability) - torch.log(background)).float()
