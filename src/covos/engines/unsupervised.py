"""Unsupervised segmentation of a stream: find what the frames of a video have in common, and cut it out.

Two passes, neither of which holds the clip. The first encodes R references, spread over the video. The second
streams: each frame is encoded once, compared with the references, decoded and dropped. A frame that is itself a
reference is compared with the others only: with itself it has everything in common.

Memory is that of R references, one batch of frames and what the source prefetches, whatever the length.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch

from covos.engines.confidence import expected_jaccard
from covos.engines.geometry import to_batch, to_probability, working_size
from covos.models.coattention import Memory
from covos.models.lite import CovosLite, Features
from covos.types import Frame, FrameResult

THRESHOLD = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """Encoded references: their frame indices, and a memory of batch size 1 for each."""

    indices: tuple[int, ...]
    memories: tuple[Memory, ...]

    def without(self, index: int) -> Memory | None:
        """The memory of all references but the one with this frame index; None if none is left."""
        left = [memory for i, memory in zip(self.indices, self.memories, strict=True) if i != index]
        return Memory.join(left) if left else None


class UnsupervisedEngine:
    """Segments the subject of a video.

    Args:
        network: In evaluation mode, on ``device``.
        device: Where to compute.
        precision: Of the network's arithmetic: float32, or bfloat16 / float16 by autocast.
        area: Pixels of the encoded frame (see `covos.engines.geometry.working_size`).
        batch: Frames encoded together.
    """

    def __init__(
        self, network: CovosLite, *, device: torch.device, precision: torch.dtype, area: int, batch: int
    ) -> None:
        self.network = network
        self.device = device
        self.precision = precision
        self.area = area
        self.batch = batch

    def remember(self, frames: Iterable[Frame]) -> References:
        """First pass: encode the references, one at a time."""
        indices, memories = [], []
        with self._computing():
            for frame in frames:
                features = self._encode([frame])
                indices.append(frame.index)
                memories.append(self.network.memorise(features))
        return References(indices=tuple(indices), memories=tuple(memories))

    def stream(self, frames: Iterable[Frame], references: References) -> Iterator[FrameResult]:
        """Second pass: segment each frame.

        Args:
            frames: All of one size, in order.
            references: From `remember`; with none, each frame is compared with itself.

        Yields:
            One result for each frame, in order.
        """
        joined = Memory.join(list(references.memories)) if references.memories else None
        source = iter(frames)
        while batch := list(islice(source, self.batch)):
            yield from self._segment(batch, joined, references)

    def _segment(self, frames: Sequence[Frame], joined: Memory | None, references: References) -> Iterator[FrameResult]:
        with self._computing():
            features = self._encode(frames)
            plain = [
                k for k, frame in enumerate(frames) if joined is not None and frame.index not in references.indices
            ]
            logits: dict[int, torch.Tensor] = {}
            if plain and joined is not None:
                shared = Memory(*(part.expand(len(plain), -1, -1) for part in joined))
                chosen = features if len(plain) == len(frames) else _take(features, plain)
                decoded = self.network.decode(chosen, shared).logit_B1HW.float()
                logits |= {k: decoded[row, 0] for row, k in enumerate(plain)}
            for k in sorted(set(range(len(frames))) - set(plain)):
                own = _take(features, [k])
                memory = references.without(frames[k].index) or self.network.memorise(own)
                logits[k] = self.network.decode(own, memory).logit_B1HW.float()[0, 0]
        for k, frame in enumerate(frames):
            probability = to_probability(logits[k], size=frame.size)
            mask = probability > THRESHOLD
            yield FrameResult(
                frame=frame,
                probability=probability,
                labels=mask.astype(np.uint8),
                confidence=expected_jaccard(probability, mask),
            )

    def _encode(self, frames: Sequence[Frame]) -> Features:
        size = working_size(frames[0].size, area=self.area, stride=self.network.stride)
        return self.network.encode(to_batch([frame.image for frame in frames], size=size, device=self.device))

    @contextmanager
    def _computing(self) -> Iterator[None]:
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32),
        ):
            yield


def _take(features: Features, rows: list[int]) -> Features:
    return Features(*(part[rows] for part in features))
