"""Follow what the user points at: masks on some frames in, masks of the same objects on all frames out.

Forward, a stream: each frame is encoded once and dropped. Backward, blocks of frames are encoded in their order and
followed in the reverse one. The predictions wait in a file (`Spool`) for the forward pass, which fuses them with its
own. Memory is that of the bank, one block of encoded frames and what the source prefetches, whatever the length.

For the best quality each frame is looked at in several views: larger ones, in which small things have more cells, and a
mirror image. The answers of all views are averaged before the frame is remembered (see `covos.engines.follow_pass`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, groupby, islice

import cv2
import numpy as np
import torch
from torch import Tensor

from covos.core.ahead import computed
from covos.core.types import Frame, FrameResult, MaskArray
from covos.engines.backward import Spool, fuse
from covos.engines.calibration import Calibration
from covos.engines.choices import Quality, View, discovered_in, followed_in
from covos.engines.encoding import FrameEncoder, select_rows
from covos.engines.find import FindEngine, Placed, References, ReferencesAt, references_at
from covos.engines.follow_pass import FollowNetwork, FollowPass, FramePrediction
from covos.engines.follow_result import Given, nothing_at, results_around
from covos.engines.motion import Observed
from covos.engines.sparse import SeenFrame, SparsePass, flow_in
from covos.models.follow import FollowFeatures
from covos.models.lite import Features

MAX_CHECKPOINTS = 8
"""Copies of a pass at a time."""


class PassCheckpoints:
    """Copies of a pass, some frames apart, from which it can be taken up again.

    A copy shares the tensors of what it remembers, and holds on to tensors that the pass itself has long forgotten. So
    there are few of them, and the longer the video, the farther apart.
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
        references: Gives the references of each frame of the video that is followed in, by which its subject is found:
            a cue for objects that it overlaps with. None gives no cue.
        others: Encoders of the same network that encode the frames in further views.
        apart: Frames from one that the networks look at to the next, where a pass is not gone back to. Those between
            are made of their neighbours (see `covos.engines.sparse`).
        first: The first of them, less than ``apart``.
    """

    def __init__(
        self,
        encoder: FrameEncoder[Features],
        network: FollowNetwork,
        *,
        calibration: Calibration | None = None,
        references: ReferencesAt[Features] | None = None,
        others: Sequence[FrameEncoder[Features]] = (),
        apart: int = 1,
        first: int = 0,
    ) -> None:
        self.encoder = encoder
        self.apart, self.first = apart, first
        self.calibration = calibration
        self.references = references
        self.finder = FindEngine(encoder, others=others)
        self._network = network

    @property
    def network(self) -> FollowNetwork:
        """The network, on the device that is computed on now."""
        return self.encoder.ladder.here(self._network)

    def beside(self, encoder: FrameEncoder[Features]) -> FollowEngine:
        """Return an engine of the same network with another encoder, and on its ladder; it has one view."""
        return FollowEngine(encoder, self._network, calibration=self.calibration, references=self.references)

    def at(self, quality: Quality, *, smallest: float = 1.0) -> FollowEngine:
        """Return an engine that follows at this quality, in the views of `covos.engines.choices.followed_in`.

        ``smallest`` is the share of the frame that the smallest object covers.
        """
        return self.seeing(*followed_in(quality, smallest=smallest))

    def seeing(self, *views: View) -> FollowEngine:
        """Return an engine that follows in these views."""
        encoder, *others = (self.encoder.scaled(view.share, mirrored=view.mirrored) for view in views)
        return self._with(encoder, others, references=None)

    def discovering(self, quality: Quality) -> FollowEngine:
        """Return an engine in whose frames objects are discovered at this quality; it has one view."""
        return self.seeing(discovered_in(quality))

    def looking(self, *, apart: int, first: int = 0) -> FollowEngine:
        """Return the same engine, whose networks look at every so manieth frame of a pass, from one of the first on."""
        others = self.finder.encoders[1:]
        return self._with(self.encoder, others, references=self.references, apart=apart, first=first)

    def cut_at(self, cuts: Collection[int]) -> FollowEngine:
        """Return the same engine for a video in which shots begin with these frames."""
        encoder, *others = (each.cut_at(cuts) for each in self.finder.encoders)
        return self._with(encoder, others, references=self.references)

    def within(self, references: References[Features] | ReferencesAt[Features]) -> FollowEngine:
        """Return an engine for one video, whose subject is found by these references; the networks are shared."""
        at = references_at((references,) if isinstance(references, References) else references)
        return self._with(self.encoder, self.finder.encoders[1:], references=at)

    def _with(
        self,
        encoder: FrameEncoder[Features],
        others: Sequence[FrameEncoder[Features]],
        *,
        references: ReferencesAt[Features] | None,
        apart: int | None = None,
        first: int | None = None,
    ) -> FollowEngine:
        return FollowEngine(
            encoder,
            self._network,
            calibration=self.calibration,
            references=references,
            others=others,
            apart=self.apart if apart is None else apart,
            first=self.first if first is None else first,
        )

    def new_pass(self, *, memory: int) -> FollowPass:
        """Begin a pass that follows nothing yet; for ``memory`` see `covos.engines.memory`."""
        return FollowPass(
            self._network,
            memory=memory,
            calibration=self.calibration,
            ladder=self.encoder.ladder,
            mirrored=[each.mirrored for each in self.finder.encoders[1:]],
        )

    def backward(
        self, blocks: Iterable[Sequence[Observed]], given: Given, *, memory: int
    ) -> Iterator[tuple[Observed, FramePrediction]]:
        """Follow towards the first frame; yield each frame with its prediction, the last frame first.

        The blocks of frames come the last first, those of a block in their order, all from `FrameEncoder.observe`.
        """
        current = self.new_pass(memory=memory)
        if self.apart > 1:
            last_first = chain.from_iterable(reversed(block) for block in blocks)
            yield from self._sparsely(last_first, given, current, ahead=True, backward=True)
            return
        later: tuple[int, tuple[Tensor, ...]] | None = None
        for batch in computed(self._batches_backward(blocks), self.seen, calls=self._calls(ahead=True)):
            for observed, features, others, _ in reversed(batch):
                frame, every = observed.frame, (features, *others)
                # The frame looked at before is the next one: the flow to it is about the opposite of its own.
                flows = [torch.zeros_like(each.flow_B2HW) for each in every]
                if later is not None and later[0] == frame.index + 1:
                    flows = [-flow.to(zero.device) for flow, zero in zip(later[1], flows, strict=True)]
                if frame.index + 1 in self.encoder.cuts:
                    current.begin_shot()
                first, *rest = (each._replace(flow_B2HW=flow) for each, flow in zip(every, flows, strict=True))
                prediction = step(current, frame, first, given, others=rest)
                later = frame.index, tuple(each.flow_B2HW for each in every)
                yield observed, prediction

    def _batches_backward(self, blocks: Iterable[Sequence[Observed]]) -> Iterator[Sequence[Observed]]:
        for block in blocks:
            left = len(block)
            while left:
                size = self._together(ahead=True)
                start = (left - 1) // size * size
                yield block[start:left]
                left = start

    def _calls(self, *, ahead: bool) -> int:
        """Return the threads that encode frames ahead."""
        return int(ahead and self.encoder.ladder.bears_threads)

    def _together(self, *, ahead: bool) -> int:
        """Return how many frames are encoded together: half as many if others wait, encoded, to be followed in."""
        return max(self.encoder.together // 2, 1) if ahead else self.encoder.together

    def forward(
        self,
        frames: Iterable[Observed],
        given: Given,
        *,
        memory: int,
        spool: Spool | None = None,
        checkpoints: PassCheckpoints | None = None,
        resumed: FollowPass | None = None,
        ahead: bool = True,
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
            ahead: If true, frames are encoded ahead of the one that is followed in, on a thread of their own.
        """
        current = resumed or self.new_pass(memory=memory)
        appearances = given_frames(given)
        # Where the pass backward answers alone, nothing is encoded once more.
        lead, source = divided(frames, at=0 if spool is None or resumed else min(given, default=0))
        if self.apart > 1:
            predicted = self._sparsely(source, given, current, ahead=ahead)
        else:
            predicted = self._each(source, given, current, checkpoints, ahead=ahead)

        def fused() -> Iterator[tuple[Observed, FramePrediction]]:
            for observed in lead:
                assert spool is not None, "the pass backward gave these frames"
                yield observed, spool.get(observed.frame.index) or nothing_at(observed.frame.index)
            for observed, prediction in predicted:
                back = None if spool is None else spool.get(observed.frame.index)
                yield observed, self.encoder.ladder.run(partial(fuse, prediction, back, given=appearances))

        yield from results_around(fused(), given)

    def _each(
        self,
        frames: Iterator[Observed],
        given: Given,
        current: FollowPass,
        checkpoints: PassCheckpoints | None,
        *,
        ahead: bool,
    ) -> Iterator[tuple[Observed, FramePrediction]]:
        """Predict each frame by the networks."""
        calls = self._calls(ahead=ahead)
        for batch in computed(self._batches(frames, ahead=calls > 0), self.seen, calls=calls):
            if checkpoints is not None:
                checkpoints.add(batch[0].observed.frame.index, current)
            for seen in batch:
                yield seen.observed, self._step(current, seen, given=given)

    def _sparsely(
        self, frames: Iterator[Observed], given: Given, current: FollowPass, *, ahead: bool, backward: bool = False
    ) -> Iterator[tuple[Observed, FramePrediction]]:
        """Predict each frame by the networks, or by frames beside it that they have looked at."""
        sparse = SparsePass(
            current,
            see=self.seen,
            step=partial(self._step, given=given, backward=backward),
            apart=self.apart,
            shown=given,
            cuts=self.encoder.cuts,
            first=self.first,
            backward=backward,
        )
        calls = self._calls(ahead=ahead)
        return sparse.run(frames, together=self._together(ahead=calls > 0), calls=calls)

    def _batches(self, frames: Iterator[Observed], *, ahead: bool = False) -> Iterator[list[Observed]]:
        while batch := list(islice(frames, self._together(ahead=ahead))):
            yield batch

    def _step(self, current: FollowPass, seen: SeenFrame, *, given: Given, backward: bool = False) -> FramePrediction:
        frame = seen.observed.frame
        if frame.index + backward in self.encoder.cuts:
            current.begin_shot()
        return step(current, frame, seen.features, given, others=seen.others)

    def seen(self, batch: Sequence[Observed]) -> list[SeenFrame]:
        """Encode frames of one size together, in all views, or in parts where the memory does not hold them all."""
        mirrored = tuple(each.mirrored for each in self.finder.encoders)
        return [
            SeenFrame(observed, features[0], tuple(features[1:]), mirrored)
            for _, part in self.encoder.ladder.in_parts(self._placed(batch, self.finder.encoders), self._seen)
            for observed, *features in part
        ]

    def encoded(self, batch: Sequence[Observed]) -> list[tuple[Observed, FollowFeatures]]:
        """Encode frames of one size together, in the first view alone; see `seen`."""
        parts = self.encoder.ladder.in_parts(self._placed(batch, (self.encoder,)), partial(self._encoded, view=0))
        return list(zip(batch, chain.from_iterable(found for _, found in parts), strict=True))

    def standing_out(self, batch: Sequence[Observed]) -> list[Tensor]:
        """Find what stands out in each frame of one size, taken for a picture by itself, whatever moves in the video.

        Returns:
            h x w float32 logits of each, on the CPU.
        """
        still = [replace(observed, motion=None) for observed in batch]
        # Not of a shared encoder, which knows these frames with their motion.
        encoder = self.encoder.scaled(1)

        def find(some: Sequence[Observed]) -> list[Tensor]:
            encoded = encoder.encode(some)
            rows = (select_rows(encoded, [row]) for row in range(len(some)))
            return [self.finder.segment_one(row, ()).float().cpu() for row in rows]

        return [logit for _, logits in self.encoder.ladder.in_parts(still, find) for logit in logits]

    def _placed(self, batch: Sequence[Observed], encoders: Sequence[FrameEncoder[Features]]) -> list[Placed[Features]]:
        """Find the references of each frame, before a network is called: to encode them is a call of its own.

        There are none where the subject is not looked for, or was found by all these encoders.
        """

        def references_of(index: int) -> Sequence[References[Features]]:
            if self.references is None or all(each.is_noted(index) for each in encoders):
                return ()
            return self.references(index)

        return [Placed(each, references_of(each.frame.index)) for each in batch]

    def _seen(self, batch: Sequence[Placed[Features]]) -> list[tuple[Observed, *tuple[FollowFeatures, ...]]]:
        views = [self._encoded(batch, view=view) for view in range(len(self.finder.encoders))]
        return list(zip((each.observed for each in batch), *views, strict=True))

    def _encoded(self, batch: Sequence[Placed[Features]], *, view: int) -> list[FollowFeatures]:
        encoder, observed = self.finder.encoders[view], [each.observed for each in batch]
        encoded = encoder.encode(observed)
        cue = None if self.references is None else self._cue(batch, encoded, view=view)
        flow = self._flow(observed, encoded, mirrored=encoder.mirrored)
        features = self.network.project(encoded, cue_B1HW=cue, flow_B2HW=flow)
        return [FollowFeatures(*(tensor[row : row + 1] for tensor in features)) for row in range(len(batch))]

    def _cue(self, batch: Sequence[Placed[Features]], encoded: Features, *, view: int) -> Tensor:
        """Find the subject of a batch of frames, each by its own references: B x 1 x h x w float32 logits."""
        encoder, observed = self.finder.encoders[view], [each.observed for each in batch]
        noted = [encoder.noted(each.frame.index) for each in observed]
        fresh = [row for row, logit in enumerate(noted) if logit is None]
        for own, part in groupby(fresh, key=lambda row: batch[row].references):
            rows = list(part)
            some = encoded if len(rows) == len(batch) else select_rows(encoded, rows)
            found = self.finder.logits([observed[row] for row in rows], some, own[view])
            for row, logit in zip(rows, found, strict=True):
                noted[row] = logit[0]
                encoder.note({observed[row].frame.index: logit[0]})
        return torch.stack([logit[None] for logit in noted if logit is not None])

    def _flow(self, batch: Sequence[Observed], encoded: Features, *, mirrored: bool = False) -> Tensor:
        height, width = encoded.s4_BCHW.shape[2:]
        flows = [flow_in(each.flow, (height, width), mirrored=mirrored) for each in batch]
        return torch.from_numpy(np.stack(flows)).to(self.encoder.device).permute(0, 3, 1, 2)


def given_frames(given: Given) -> dict[int, tuple[int, ...]]:
    """Return for each object the ascending indices of the frames that the user gave a mask on."""
    ids = {identity for masks in given.values() for identity in masks}
    return {identity: tuple(sorted(index for index, masks in given.items() if identity in masks)) for identity in ids}


def step(
    current: FollowPass,
    frame: Frame,
    features: FollowFeatures,
    given: Given,
    *,
    others: Sequence[FollowFeatures] = (),
) -> FramePrediction:
    """Follow everything into the next frame, and take what the user gave on it."""
    cells, device = features.s2_BCHW.shape[2:], features.key_BNK.device
    masks = {identity: at_stride(mask, cells, device) for identity, mask in given.get(frame.index, {}).items()}
    return current.step(frame.index, features, given=masks, others=others)


def divided(frames: Iterable[Observed], *, at: int) -> tuple[Iterator[Observed], Iterator[Observed]]:
    """Return the frames before an index and those from it on; the second are asked for once the first are exhausted."""
    every, first = iter(frames), list[Observed]()

    def before() -> Iterator[Observed]:
        for each in every:
            if each.frame.index >= at:
                first.append(each)
                return
            yield each

    return before(), chain(first, every)


def at_stride(mask: MaskArray, cells: Sequence[int], device: torch.device) -> Tensor:
    """Return the share of each cell that a mask covers.

    Whatever it covers, a little, so that thin things are not lost.
    """
    height, width = int(cells[0]), int(cells[1])
    small = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(np.clip(small, 0, 1)).to(device)
