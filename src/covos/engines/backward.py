"""Answers of the backward pass, kept in a file until the forward pass meets them: memory stays flat.

A frame takes some kilobytes: log-odds in 8 bits, deflated.
"""

from __future__ import annotations

import json
import math
import tempfile
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from covos.core.types import ObjectStatus, Presence
from covos.engines.follower import SURE, Answer

STEP = 0.125
"""Of the log-odds: an eighth changes a probability by 0.03 at most. The range is then +-15.9."""


class Spool:
    """Answers by frame, in a temporary file; a context manager."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="covos-")  # noqa: SIM115 - closed by __exit__
        self._places: dict[int, tuple[int, int]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._places)

    def put(self, answer: Answer) -> None:
        """Keep an answer; one of the same frame is replaced."""
        steps = (answer.log_odds / STEP).round().clamp(-127, 127).to(torch.int8).cpu().numpy()
        head = {"shape": steps.shape, "objects": [asdict(status) for status in answer.objects]}
        content = json.dumps(head).encode() + b"\n" + zlib.compress(steps.tobytes(), 1)
        self._file.seek(0, 2)
        self._places[answer.index] = self._file.tell(), len(content)
        self._file.write(content)

    def get(self, index: int) -> Answer | None:
        """The answer for a frame; None if there is none."""
        if index not in self._places:
            return None
        start, length = self._places[index]
        self._file.seek(start)
        head, steps = self._file.read(length).split(b"\n", 1)
        described = json.loads(head)
        values = np.frombuffer(zlib.decompress(steps), np.int8).reshape(described["shape"])
        return Answer(
            index=index,
            log_odds=torch.from_numpy(values.astype(np.float32)) * STEP,
            objects=tuple(ObjectStatus(**each) for each in described["objects"]),
        )


# Two answers for one frame, found from the past and from the future, made one.

FADING = 40.0
"""Frames from a mask of the user's over which the trust in what followed from it falls to 1/e."""
UNSEEN: dict[Presence, float] = {"present": 1.0, "occluded": 0.6, "lost": 0.3}
"""What a pass's word is worth: one that no longer sees the object may have lost it, where the other still has it."""
AGREEING = 0.5
"""J of two masks from which their mean is taken; of two places the mean would be neither."""


class _Pass(NamedTuple):
    odds_HW: Tensor
    status: ObjectStatus
    weight: float


def fuse(forward: Answer, backward: Answer | None, *, given: Mapping[int, Sequence[int]]) -> Answer:
    """Weigh two passes for each object by their confidence, and by how far they are from what the user gave.

    Args:
        forward: From the past.
        backward: From the future; None if there is none.
        given: For each object the ascending indices of the frames with a mask from the user.

    Returns:
        For each object the weightier pass, and where both show it in the same place the weighted mean of the
        log-odds. An object that is not present is nowhere.
    """
    if backward is None or not backward.objects:
        return forward
    if not forward.objects:
        return backward
    odds, statuses = [], []
    for identity in (*forward.ids, *(other for other in backward.ids if other not in forward.ids)):
        frames = given[identity]
        sides = ((forward, _since(frames, forward.index)), (backward, _until(frames, forward.index)))
        passes = [_pass(answer, identity, gap) for answer, gap in sides if identity in answer.ids]
        best = max(passes, key=lambda each: each.weight)
        agreeing = [each for each in passes if each is best or _agree(each, best)]
        total = sum(each.weight for each in agreeing)
        mean = torch.stack([each.odds_HW * (each.weight / total) for each in agreeing]).sum(dim=0)
        state = best.status.state
        if state == "present" and not (mean > 0).any():
            state = "occluded"
        odds.append(mean if state == "present" else mean.clamp(max=-SURE))
        confidence = sum(each.status.confidence * each.weight for each in agreeing) / total
        statuses.append(ObjectStatus(id=identity, state=state, confidence=confidence))
    return Answer(index=forward.index, log_odds=torch.stack(odds), objects=tuple(statuses))


def _pass(answer: Answer, identity: int, gap: float) -> _Pass:
    place = answer.ids.index(identity)
    status = answer.objects[place]
    weight = max(status.confidence, 1e-3) * UNSEEN[status.state] * math.exp(-gap / FADING)
    # So far from anything given, nothing is left of the trust; what is there must do.
    return _Pass(answer.log_odds[place].float().cpu(), status, max(weight, 1e-30))


def _agree(one: _Pass, other: _Pass) -> bool:
    """Whether both show the object, and in the same place, or neither does."""
    if one.status.state != "present" or other.status.state != "present":
        return one.status.state == other.status.state
    a, b = one.odds_HW > 0, other.odds_HW > 0
    return bool((a & b).sum() >= AGREEING * (a | b).sum())


def _since(frames: Sequence[int], index: int) -> float:
    place = bisect_right(frames, index)
    return index - frames[place - 1] if place else math.inf


def _until(frames: Sequence[int], index: int) -> float:
    place = bisect_left(frames, index)
    return frames[place] - index if place < len(frames) else math.inf
