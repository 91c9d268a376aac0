"""Follow what the user points at: masks on some frames in, masks of the same objects on all frames out.

Forward, a stream: each frame is encoded once and dropped. Backward, blocks of frames are encoded in their order and
followed in the reverse one; the predictions wait in a file (`Spool`) for the forward pass, which fuses them with its
own. Memory is that of the bank, one block of encoded frames and what the source prefetches, whatever the length.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice

import cv2
import numpy as np
import torch
from torch import Tensor

from covos.core.types import Frame, FrameResult, LabelArray, MaskArray
from covos.engines.backward import Spool, fuse
from covos.engines.band import within
from covos.engines.calibration import Calibration
from covos.engines.encoding import FrameEncoder, to_probability, to_size
from covos.engines.find import FindEngine, References, uncomputed
from covos.engines.follow_pass import FollowNetwork, FollowPass, FramePrediction
from covos.engines.motion import Observed
from covos.masks.soft import EDGE, soft_edge
from covos.models.follow import FollowFeatures
from covos.models.lite import Features

MAX_CHECKPOINTS = 8
"""Copies of a pass at a time."""

Given = Mapping[int, Mapping[int, MaskArray]]
"""Frame index to object id to its mask, H x W bool of the frame's size; empty says that the object is not there."""


class PassCheckpoints:
    """Copies of a pass, some frames apart, from which it can be taken up again.

    A copy shares the tensors of what it remembers, and holds on to what the pass itself has long forgotten; so there
    are few of them, and the longer the video, the farther apart.
    """

    def __init__(self) -> None:
        self._copies: dict[int, FollowPass] = {}
        self._apart = 1

    def add(self, index: int, current: FollowPass) -> None:
        """Keep a copy, by the index of the frame that comes next, unless the one before is near."""
        if self._copies and index - max(self._copies) < self._apart:
            return
        self._copies[index] = current.copy()
        if len(self._copies) > MAX_CHECKPOINTS:
            self._copies = dict(list(self._copies.items())[::2])
            first, second = list(self._copies)[:2]
            self._apart = second - first

    def nearest(self, index: int) -> tuple[int, FollowPass] | None:
        """Return the latest copy that has taken neither this frame nor a later one, after the index it goes on at."""
        at = max((at for at in self._copies if at <= index), default=None)
        return None if at is None else (at, self._copies[at].copy())

    def rewind(self, index: int) -> tuple[int, FollowPass] | None:
        """Forget the copies that have taken this frame or a later one, and return what `nearest` does."""
        self._copies = {at: copied for at, copied in self._copies.items() if at <= index}
        return self.nearest(index)


class FollowEngine:
    """Follows objects through a video.

    Args:
        encoder: Encodes the frames; its network is a covos-lite.
        network: In evaluation mode, on the same device.
        calibration: Calibration of the network's weights; None takes the network at its word.
        references: References of the video that is followed in, by which its subject is found: a cue for objects that
            it overlaps with. None gives no cue.
    """

    def __init__(
        self,
        encoder: FrameEncoder[Features],
        network: FollowNetwork,
        *,
        calibration: Calibration | None = None,
        references: References[Features] | None = None,
    ) -> None:
        self.encoder = encoder
        self.calibration = calibration
        self.references = references
        self.finder = FindEngine(encoder)
        self._network = network

    @property
    def network(self) -> FollowNetwork:
        """The network, on the device that is computed on now."""
        return self.encoder.ladder.here(self._network)

    def beside(self, encoder: FrameEncoder[Features]) -> FollowEngine:
        """Return an engine of the same network with another encoder, and on its ladder."""
        return FollowEngine(encoder, self._network, calibration=self.calibration, references=self.references)

    def within(self, references: References[Features]) -> FollowEngine:
        """Return an engine for one video, whose subject is found by these references; the networks are shared."""
        return FollowEngine(self.encoder, self._network, calibration=self.calibration, references=references)

    def new_pass(self, *, memory: int) -> FollowPass:
        """Begin a pass that follows nothing yet; for ``memory`` see `covos.engines.memory`."""
        return FollowPass(self._network, memory=memory, calibration=self.calibration, ladder=self.encoder.ladder)

    def backward(
        self, blocks: Iterable[Sequence[Observed]], given: Given, *, memory: int
    ) -> Iterator[tuple[Frame, FramePrediction]]:
        """Follow towards the first frame; yield each frame with its prediction, the last frame first.

        The blocks of frames come the last first, those of a block in their order, all from `FrameEncoder.observe`.
        """
        current = self.new_pass(memory=memory)
        later: tuple[int, Tensor] | None = None
        for block in blocks:
            left = len(block)
            while left:
                size = self.encoder.together
                start = (left - 1) // size * size
                for observed, features in reversed(self.encoded(block[start:left])):
                    frame = observed.frame
                    # The frame looked at before is the next one: the flow to it is about the opposite of its own.
                    flow = torch.zeros_like(features.flow_B2HW)
                    if later is not None and later[0] == frame.index + 1:
                        flow = -later[1].to(flow.device)
                    prediction = step(current, frame, features._replace(flow_B2HW=flow), given)
                    later = frame.index, features.flow_B2HW
                    yield frame, prediction
                left = start

    def forward(
        self,
        frames: Iterable[Observed],
        given: Given,
        *,
        memory: int,
        spool: Spool | None = None,
        checkpoints: PassCheckpoints | None = None,
        resumed: FollowPass | None = None,
    ) -> Iterator[FrameResult]:
        """Follow towards the last frame; yield one result for each frame, in order.

        On frames with masks from the user these are in the result as they are.

        Args:
            frames: All frames, from `FrameEncoder.observe`.
            given: Masks from the user.
            memory: See `covos.engines.memory`.
            spool: Predictions of the backward pass, to be fused in.
            checkpoints: Takes copies on the way.
            resumed: From checkpoints; ``frames`` then begin with the one that it is to take next.
        """
        current = resumed or self.new_pass(memory=memory)
        appearances = given_frames(given)
        source = iter(frames)
        while batch := list(islice(source, self.encoder.together)):
            if checkpoints is not None:
                checkpoints.add(batch[0].frame.index, current)
            for observed, features in self.encoded(batch):
                frame = observed.frame
                prediction = step(current, frame, features, given)
                back = None if spool is None else spool.get(frame.index)
                prediction = self.encoder.ladder.run(partial(fuse, prediction, back, given=appearances))
                yield self.encoder.ladder.run(partial(result_of, frame, prediction, given.get(frame.index, {})))

    def encoded(self, batch: Sequence[Observed]) -> list[tuple[Observed, FollowFeatures]]:
        """Encode frames of one size together, or in parts where the memory does not hold them all."""
        return [each for _, part in self.encoder.ladder.in_parts(batch, self._encoded) for each in part]

    def _encoded(self, batch: Sequence[Observed]) -> list[tuple[Observed, FollowFeatures]]:
        encoded = self.encoder.encode(batch)
        cue = None if self.references is None else self.finder.logits(batch, encoded, self.references)
        features = self.network.project(encoded, cue_B1HW=cue, flow_B2HW=self._flow(batch, encoded))
        return [
            (observed, FollowFeatures(*(tensor[row : row + 1] for tensor in features)))
            for row, observed in enumerate(batch)
        ]

    def _flow(self, batch: Sequence[Observed], encoded: Features) -> Tensor:
        size = encoded.s4_BCHW.shape[2:]
        flows = [np.zeros((*size, 2), np.float32) if each.flow is None else each.flow for each in batch]
        return torch.from_numpy(np.stack(flows)).to(self.encoder.device).permute(0, 3, 1, 2)


def backward_results(frames: Iterable[Frame], given: Given, *, spool: Spool) -> Iterator[FrameResult]:
    """Make results of the backward pass alone, in the order of the frames.

    Frames that the spool does not know come after all that was given, and show nothing.
    """
    for frame in frames:
        empty = FramePrediction(index=frame.index, log_odds=torch.zeros(0, 1, 1), objects=())
        yield result_of(frame, spool.get(frame.index) or empty, given.get(frame.index, {}))


def given_frames(given: Given) -> dict[int, tuple[int, ...]]:
    """Return for each object the ascending indices of the frames that the user gave a mask on."""
    ids = {identity for masks in given.values() for identity in masks}
    return {identity: tuple(sorted(index for index, masks in given.items() if identity in masks)) for identity in ids}


def result_of(frame: Frame, prediction: FramePrediction, given: Mapping[int, MaskArray]) -> FrameResult:
    """Make a result, at the frame's own size, of a prediction and the user's masks, which are in it as they are.

    Around these, the probability has a soft edge, as the network draws it around all others.
    """
    if torch.isnan(prediction.log_odds).any():
        return uncomputed(frame)
    labels = _labels(prediction, frame.size)
    given = {identity: to_size(mask, frame.size) for identity, mask in given.items()}
    for identity, mask in given.items():
        labels[(labels == identity) & ~mask] = 0
        labels[mask] = identity
    if prediction.objects:
        # The odds of any object are the sum of theirs.
        any_HW = torch.logsumexp(prediction.log_odds.float().cpu(), dim=0)
        probability = to_probability(any_HW, size=frame.size)
        confidence = sum(each.confidence for each in prediction.objects) / len(prediction.objects)
    else:
        probability, confidence = np.zeros(frame.size, np.float32), 1.0
    if given:
        shown = np.logical_or.reduce(list(given.values()))
        probability = np.where(within(shown, 2 * EDGE * shown.shape[0]), soft_edge(labels > 0), probability)
    return FrameResult(
        frame=frame, probability=probability, labels=labels, confidence=confidence, objects=prediction.objects
    )


def _labels(prediction: FramePrediction, size: tuple[int, int]) -> LabelArray:
    """At each pixel the likeliest of the objects and the background, of log-odds that are interpolated."""
    height, width = size
    labels = np.zeros(size, np.uint8)
    best = np.zeros(size, np.float32)
    for status, odds in zip(prediction.objects, prediction.log_odds.float().cpu().numpy(), strict=True):
        if status.state != "present":
            continue
        full = cv2.resize(odds, (width, height), interpolation=cv2.INTER_LINEAR)
        better = full > best
        labels[better] = status.id
        np.maximum(best, full, out=best)
    return labels


def step(current: FollowPass, frame: Frame, features: FollowFeatures, given: Given) -> FramePrediction:
    """Follow everything into the next frame, and take what the user gave on it."""
    cells, device = features.s2_BCHW.shape[2:], features.key_BNK.device
    masks = {identity: at_stride(mask, cells, device) for identity, mask in given.get(frame.index, {}).items()}
    return current.step(frame.index, features, given=masks)


def at_stride(mask: MaskArray, cells: Sequence[int], device: torch.device) -> Tensor:
    """Return the share of each cell that a mask covers.

    Whatever it covers, a little, so that thin things are not lost.
    """
    height, width = int(cells[0]), int(cells[1])
    small = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(np.clip(small, 0, 1)).to(device)
