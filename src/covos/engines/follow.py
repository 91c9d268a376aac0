"""Follow what the user points at: masks on some frames in, masks of the same objects on all frames out.

Forward, a stream: each frame is encoded once and dropped. Backward, blocks of frames are encoded in their order and
followed in the reverse one; the answers wait in a file (`Spool`) for the forward pass, which fuses them with its own.
Memory is that of the bank, one block of encoded frames and what the source prefetches, whatever the length.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

import cv2
import numpy as np
import torch
from torch import Tensor

from covos.core.types import Frame, FrameResult, LabelArray, MaskArray
from covos.engines.backward import Spool, fuse
from covos.engines.calibration import Calibration
from covos.engines.find import UnsupervisedEngine
from covos.engines.follower import Answer, Follower
from covos.engines.motion import Observed, to_probability
from covos.models.follow import CovosFollow, View
from covos.models.lite import Features

# Where a pass can be taken up again: copies of its follower, some frames apart.
#
# A copy shares the tensors of what it remembers, and holds on to what the pass itself has long forgotten; so there are
# few of them, and the longer the video, the farther apart.

MOST = 8
"""Copies at a time."""


class Trail:
    """Copies of a follower by the frame that it was to take next."""

    def __init__(self) -> None:
        self._marks: dict[int, Follower] = {}
        self._apart = 1

    def __len__(self) -> int:
        return len(self._marks)

    def mark(self, index: int, follower: Follower) -> None:
        """Keep a copy, unless the one before is near.

        Args:
            index: Of the frame that comes next; larger than of all before.
            follower: Of the pass.
        """
        if self._marks and index - max(self._marks) < self._apart:
            return
        self._marks[index] = follower.copy()
        if len(self._marks) > MOST:
            self._marks = dict(list(self._marks.items())[::2])
            first, second = list(self._marks)[:2]
            self._apart = second - first

    def back_to(self, index: int) -> tuple[int, Follower] | None:
        """Forget the copies that have taken this frame or a later one.

        Returns:
            Of the latest that is left the frame that comes next, and a copy to go on with; None if none is left.
        """
        self._marks = {at: follower for at, follower in self._marks.items() if at <= index}
        if not self._marks:
            return None
        at = max(self._marks)
        return at, self._marks[at].copy()


Given = Mapping[int, Mapping[int, MaskArray]]
"""Frame index to object id to its mask, H x W bool of the frame's size; empty says that the object is not there."""


class FollowEngine:
    """Follows objects through a video.

    Args:
        eyes: Encodes the frames; its network is a covos-lite.
        network: In evaluation mode, on the same device.
        calibration: Of the network's weights; None takes the network at its word.
    """

    def __init__(
        self, eyes: UnsupervisedEngine[Features], network: CovosFollow, *, calibration: Calibration | None = None
    ) -> None:
        self.eyes = eyes
        self.network = network
        self.calibration = calibration

    def follower(self, *, between: int) -> Follower:
        """What follows along one pass.

        Args:
            between: See `covos.engines.memory`.
        """
        return Follower(self.network, between=between, calibration=self.calibration)

    def backward(self, blocks: Iterable[Sequence[Observed]], given: Given, *, between: int, spool: Spool) -> None:
        """Follow towards the first frame.

        Args:
            blocks: The last frames first; the frames of a block in their order, all from `UnsupervisedEngine.observe`.
            given: What the user gave.
            between: See `covos.engines.memory`.
            spool: Where the answers go.
        """
        follower = self.follower(between=between)
        for block in blocks:
            with self.eyes.computing():
                for observed, view in reversed(list(self._views(block))):
                    spool.put(self._step(follower, observed.frame, view, given))

    def forward(
        self,
        frames: Iterable[Observed],
        given: Given,
        *,
        between: int,
        spool: Spool | None = None,
        trail: Trail | None = None,
        resumed: Follower | None = None,
    ) -> Iterator[FrameResult]:
        """Follow towards the last frame.

        Args:
            frames: All frames, from `UnsupervisedEngine.observe`.
            given: What the user gave.
            between: See `covos.engines.memory`.
            spool: Answers of the backward pass, to be fused in.
            trail: Is left on the way.
            resumed: From a trail; ``frames`` then begin with the one that it is to take next.

        Yields:
            One result for each frame, in order. On frames with masks from the user these are in it as they are.
        """
        follower = resumed or self.follower(between=between)
        appearances = given_frames(given)
        source = iter(frames)
        while batch := list(islice(source, self.eyes.batch)):
            # A batch is done before it is told: the settings must not last while the caller runs.
            answers = []
            if trail is not None:
                trail.mark(batch[0].frame.index, follower)
            with self.eyes.computing():
                for observed, view in self._views(batch):
                    answer = self._step(follower, observed.frame, view, given)
                    back = None if spool is None else spool.get(observed.frame.index)
                    answers.append((observed.frame, fuse(answer, back, given=appearances)))
            for frame, answer in answers:
                yield result_of(frame, answer, given.get(frame.index, {}))

    def told(self, frames: Iterable[Frame], given: Given, *, spool: Spool) -> Iterator[FrameResult]:
        """The answers of the backward pass alone, in the order of the frames.

        Args:
            frames: All frames.
            given: What the user gave.
            spool: From `backward`; frames that it does not know come after all that was given, and show nothing.

        Yields:
            One result for each frame.
        """
        for frame in frames:
            answer = spool.get(frame.index) or Answer(index=frame.index, log_odds=torch.zeros(0, 1, 1), objects=())
            yield result_of(frame, answer, given.get(frame.index, {}))

    def _views(self, batch: Sequence[Observed]) -> Iterator[tuple[Observed, View]]:
        for start in range(0, len(batch), self.eyes.batch):
            part = batch[start : start + self.eyes.batch]
            views = self.network.view(self.eyes.encode(part))
            for row, observed in enumerate(part):
                yield observed, View(*(tensor[row : row + 1] for tensor in views))

    def _step(self, follower: Follower, frame: Frame, view: View, given: Given) -> Answer:
        cells = view.s4_BCHW.shape[2:]
        device = view.key_BNK.device
        masks = {identity: at_stride(mask, cells, device) for identity, mask in given.get(frame.index, {}).items()}
        return follower.step(frame.index, view, given=masks)


def given_frames(given: Given) -> dict[int, tuple[int, ...]]:
    """For each object the ascending indices of the frames that the user gave a mask on."""
    ids = {identity for masks in given.values() for identity in masks}
    return {identity: tuple(sorted(index for index, masks in given.items() if identity in masks)) for identity in ids}


def result_of(frame: Frame, answer: Answer, given: Mapping[int, MaskArray]) -> FrameResult:
    """An answer at the frame's own size.

    Args:
        frame: The frame.
        answer: At stride 4 of the encoded size.
        given: Masks from the user, which the result holds as they are.
    """
    height, width = frame.size
    labels = _labels(answer, frame.size)
    for identity, mask in given.items():
        labels[(labels == identity) & ~mask] = 0
        labels[mask] = identity
    if answer.objects:
        # The odds of any object are the sum of theirs.
        probability = to_probability(torch.logsumexp(answer.log_odds.float().cpu(), dim=0), size=frame.size)
        confidence = sum(each.confidence for each in answer.objects) / len(answer.objects)
    else:
        probability, confidence = np.zeros((height, width), np.float32), 1.0
    for mask in given.values():
        probability[mask] = 1.0
    return FrameResult(
        frame=frame, probability=probability, labels=labels, confidence=confidence, objects=answer.objects
    )


def _labels(answer: Answer, size: tuple[int, int]) -> LabelArray:
    """At each pixel the likeliest of the objects and the background, of log-odds that are interpolated."""
    height, width = size
    labels = np.zeros(size, np.uint8)
    best = np.zeros(size, np.float32)
    for status, odds in zip(answer.objects, answer.log_odds.float().cpu().numpy(), strict=True):
        if status.state != "present":
            continue
        full = cv2.resize(odds, (width, height), interpolation=cv2.INTER_LINEAR)
        better = full > best
        labels[better] = status.id
        np.maximum(best, full, out=best)
    return labels


def at_stride(mask: MaskArray, cells: Sequence[int], device: torch.device) -> Tensor:
    """The share of each cell that a mask covers; whatever it covers, a little, so that thin things are not lost."""
    height, width = int(cells[0]), int(cells[1])
    small = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(np.clip(small, 0, 1)).to(device)
