"""Unsupervised segmentation of a stream: find what the frames of a video have in common, and cut it out.

Two passes, neither of which holds the clip. The first encodes R references, spread over the video. The second
streams: each other frame is encoded once, compared with the references, decoded and dropped. A frame that is itself a
reference is not encoded again, and is compared with the others only: with itself it has everything in common.

Both passes take frames as *observed*: beside their predecessors, so that what moves in them is known.

Memory is that of R references, one batch of frames and what the source prefetches, whatever the length.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Generic, Protocol, TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor

from covos.core.errors import UsageError
from covos.core.types import Frame, FrameResult, MaskArray, ProbabilityArray
from covos.engines.motion import (
    Observed,
    motion_batch,
    observe,
    to_batch,
    to_probability,
    with_neighbours,
    working_size,
)
from covos.models.coattention import Fusion, Memory
from covos.models.cosnet.crf import Refinement, refine_probability

# What an engine asks of a network.

FeaturesT = TypeVar("FeaturesT", bound=tuple[Tensor, ...])
"""A named tuple of tensors whose first dimension is the batch."""


class VideoNetwork(Protocol[FeaturesT]):
    """A network that encodes each frame by itself, and segments encoded queries by encoded references."""

    @property
    def stride(self) -> int:
        """Heights and widths of frames must be multiples of this, unless there is a fixed size."""

    @property
    def fixed_size(self) -> tuple[int, int] | None:
        """(height, width) that frames must have; None if any will do."""

    @property
    def fusions(self) -> tuple[Fusion, ...]:
        """How it can use several references, the best first."""

    @property
    def uses_motion(self) -> bool:
        """Whether `encode` makes anything of the motion."""

    def encode(self, image_BCHW: Tensor, motion_B4HW: Tensor | None = None) -> FeaturesT:
        """Encode B x 3 x H x W float RGB frames in [0, 1].

        Args:
            image_BCHW: The frames.
            motion_B4HW: B x 4 x H/4 x W/4 float32 (see `covos.engines.motion.residual_motion`), all zero for frames
                whose motion is not known; None if that holds for all.
        """

    def memorise(self, features: FeaturesT) -> Memory:
        """Turn encoded references into a memory."""

    def segment(self, features: FeaturesT, memories: Sequence[Memory], *, fusion: Fusion) -> Tensor:
        """Segment B queries by at least one memory of batch size 1: B x 1 x h x w float32 logits of the subject."""


def take(features: FeaturesT, rows: Sequence[int]) -> FeaturesT:
    """The features of some of the frames in a batch."""
    return type(features)(*(part[list(rows)] for part in features))


# How sure a result is of itself.


def expected_jaccard(probability: ProbabilityArray, mask: MaskArray) -> float:
    """The J that a mask would have if the probabilities were right.

    With each pixel in the subject with its own probability p, the expected intersection of the mask with the truth
    is the sum of p inside the mask, and the expected union is the mask's area plus the sum of p outside. Their ratio
    is the quantity that optimal-decision work on the Jaccard index bounds (Nowozin, CVPR 2014, section 3).

    Args:
        probability: H x W float32 in [0, 1].
        mask: H x W bool.

    Returns:
        In [0, 1]. For an empty mask, 1 - the highest probability: the chance that the likeliest pixel is empty too.
    """
    # OpenCV sums in float64 as numpy can, in half the time.
    chosen = mask.view(np.uint8)
    area = cv2.countNonZero(chosen)
    if area == 0:
        return float(1 - probability.max())
    inside = cv2.mean(probability, chosen)[0] * area
    outside = cv2.sumElems(probability)[0] - inside
    # The order of a sum, and so its last bits, depend on where in memory the numbers lie.
    return round(inside / (area + outside), 9)


THRESHOLD = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class References(Generic[FeaturesT]):
    """Encoded references: frame index, features and memory of each, of batch size 1."""

    indices: tuple[int, ...]
    features: tuple[FeaturesT, ...]
    memories: tuple[Memory, ...]

    def without(self, index: int) -> tuple[Memory, ...]:
        """The memories of all references but the one with this frame index."""
        return tuple(memory for i, memory in zip(self.indices, self.memories, strict=True) if i != index)


class UnsupervisedEngine(Generic[FeaturesT]):
    """Segments the subject of a video.

    Args:
        network: In evaluation mode, on ``device``.
        device: Where to compute.
        precision: Of the network's arithmetic: float32, or bfloat16 / float16 by autocast.
        area: Pixels of the encoded frame (see `covos.engines.motion.working_size`), unless the network has a size
            of its own.
        batch: Frames encoded together.
    """

    def __init__(
        self, network: VideoNetwork[FeaturesT], *, device: torch.device, precision: torch.dtype, area: int, batch: int
    ) -> None:
        self.network = network
        self.device = device
        self.precision = precision
        self.area = area
        self.batch = batch

    def check_fusion(self, fusion: Fusion | None) -> Fusion:
        """The way to use several references: the network's best if none is asked for.

        Raises:
            UsageError: The network cannot do it.
        """
        if fusion is None:
            return self.network.fusions[0]
        if fusion not in self.network.fusions:
            raise UsageError(
                f"fusion {fusion!r}",
                why=f"{type(self.network).__name__} is not made for it",
                fix=f"use one of: {', '.join(self.network.fusions)}",
            )
        return fusion

    def observe(self, frames: Iterable[Frame], *, wanted: Collection[int] | None = None) -> Iterator[Observed]:
        """Give each frame its motion, if the network uses it.

        Args:
            frames: All of one size, ascending; there may be gaps.
            wanted: Indices of the frames to yield; None yields all. See `needed`.
        """
        if self.network.uses_motion:
            yield from observe(frames, size_of=self.size_of, wanted=wanted)
        else:
            for frame in frames:
                if wanted is None or frame.index in wanted:
                    yield Observed(frame=frame, motion=None)

    def needed(self, indices: Iterable[int], *, frame_count: int) -> tuple[int, ...]:
        """Ascending indices of the frames that must be read so that `observe` can yield these."""
        return with_neighbours(indices, frame_count=frame_count) if self.network.uses_motion else tuple(indices)

    def remember(self, frames: Iterable[Observed]) -> References[FeaturesT]:
        """First pass: encode the references, one at a time."""
        indices, encoded, memories = [], [], []
        with self.computing():
            for observed in frames:
                features = self.encode([observed])
                indices.append(observed.frame.index)
                encoded.append(features)
                memories.append(self.network.memorise(features))
        return References(indices=tuple(indices), features=tuple(encoded), memories=tuple(memories))

    def stream(
        self,
        frames: Iterable[Observed],
        references: References[FeaturesT],
        *,
        fusion: Fusion | None = None,
        refine: Refinement = "none",
    ) -> Iterator[FrameResult]:
        """Second pass: segment each frame.

        Args:
            frames: From `observe`.
            references: From `remember`; with none, each frame is compared with itself.
            fusion: How to use several references; None takes the network's best.
            refine: How to fit the probabilities to the picture.

        Yields:
            One result for each frame, in order.

        Raises:
            UsageError: The network cannot do this fusion.
        """
        chosen = self.check_fusion(fusion)
        source = iter(frames)
        while batch := list(islice(source, self.batch)):
            yield from self._segment(batch, references, chosen, refine)

    def _segment(
        self, observed: Sequence[Observed], references: References[FeaturesT], fusion: Fusion, refine: Refinement
    ) -> Iterator[FrameResult]:
        frames = [each.frame for each in observed]
        known = {index: k for k, index in enumerate(references.indices)}
        fresh = [k for k, frame in enumerate(frames) if frame.index not in known]
        logits: dict[int, Tensor] = {}
        with self.computing():
            if fresh:
                features = self.encode([observed[k] for k in fresh])
                if references.memories:
                    decoded = self.network.segment(features, references.memories, fusion=fusion)[:, 0]
                    logits |= dict(zip(fresh, decoded, strict=True))
                else:
                    logits |= {k: self._alone(take(features, [row]), (), fusion) for row, k in enumerate(fresh)}
            for k, frame in enumerate(frames):
                if frame.index in known:
                    own = references.features[known[frame.index]]
                    logits[k] = self._alone(own, references.without(frame.index), fusion)
        for k, frame in enumerate(frames):
            own_probability = to_probability(logits[k], size=frame.size)
            probability = refine_probability(frame.image, own_probability, refinement=refine, device=self.device)
            mask = probability > THRESHOLD
            yield FrameResult(
                frame=frame,
                probability=probability,
                labels=mask.astype(np.uint8),
                # By the network's own probabilities: a CRF's marginals are near 0 and 1 whether they are right or not.
                confidence=expected_jaccard(own_probability, mask),
            )

    def _alone(self, own: FeaturesT, others: tuple[Memory, ...], fusion: Fusion) -> Tensor:
        """One frame by these references; by itself if there are none."""
        return self.network.segment(own, others or (self.network.memorise(own),), fusion=fusion)[0, 0]

    def encode(self, observed: Sequence[Observed]) -> FeaturesT:
        """Encode frames of one size as a batch; to be called while `computing`."""
        size = self.size_of(observed[0].frame)
        image = to_batch([each.frame.image for each in observed], size=size, device=self.device)
        return self.network.encode(image, motion_batch([each.motion for each in observed], device=self.device))

    def size_of(self, frame: Frame) -> tuple[int, int]:
        """(height, width) at which a frame is encoded."""
        return self.network.fixed_size or working_size(frame.size, area=self.area, stride=self.network.stride)

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Where the network may be run: without gradients, in its precision."""
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32),
        ):
            yield


# Which frames of a video the others are compared with.


def uniform_references(frame_count: int, *, references: int) -> tuple[int, ...]:
    """Frames in the middle of equal parts of the video (COSNet, section 3.3: uniform over the clip).

    The middles rather than the ends: first and last frames are often fades or cuts.

    Args:
        frame_count: Frames of the video.
        references: How many are wanted; all frames if there are fewer.

    Returns:
        Ascending, distinct, 0-based indices.
    """
    count = min(references, frame_count)
    return tuple((2 * part + 1) * frame_count // (2 * count) for part in range(count))


def random_references(frame_count: int, *, references: int, seed: int) -> tuple[int, ...]:
    """Frames at random, as in COSNet's released code, which draws anew for each query and without a seed.

    Here they are drawn once for a video, so that each is encoded once and the masks can be had again.

    Args:
        frame_count: Frames of the video.
        references: How many are wanted; all frames if there are fewer.
        seed: The same gives the same frames.

    Returns:
        Ascending, distinct, 0-based indices.
    """
    return tuple(sorted(random.Random(seed).sample(range(frame_count), min(references, frame_count))))


DEFAULT_REFERENCES = 5
"""As in the paper: J no longer grows beyond (COSNet, table 4)."""
MAX_REFERENCES = 64
DEFAULT_AREA = 256 * 448
"""Pixels of the encoded frame: the size that covos-lite's training ends with."""


def check_references(count: int) -> None:
    """Refuse a number of references that makes no sense.

    Raises:
        UsageError: It is negative or above `MAX_REFERENCES`.
    """
    if not 0 <= count <= MAX_REFERENCES:
        raise UsageError(
            f"references = {count}",
            why="memory and time grow with them and accuracy does not",
            fix=f"use 0 to {MAX_REFERENCES}; {DEFAULT_REFERENCES} is the default",
        )
