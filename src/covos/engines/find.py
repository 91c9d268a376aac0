"""Find the subject of a video: what its frames have in common is segmented, without anything shown.

Two passes, neither of which holds the clip. The first encodes R references, spread over the video. The second
streams: each other frame is encoded once, compared with the references, decoded and dropped. A frame that is itself a
reference is not encoded again, and is compared with the others only: with itself it has everything in common.

Memory is that of R references, one batch of frames and what the source prefetches, whatever the length.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Generic

import cv2
import numpy as np
import torch
from torch import Tensor

from covos.core.errors import UsageError
from covos.core.types import FrameResult, MaskArray, ProbabilityArray
from covos.engines.encoding import FeaturesT, FrameEncoder, select_rows, to_probability
from covos.engines.motion import Observed
from covos.models.coattention import Fusion, Memory
from covos.models.cosnet.crf import Refinement, refine_probability

THRESHOLD = 0.5
"""Probability above which a pixel belongs to the subject."""
DEFAULT_REFERENCES = 5
"""As in the paper: J no longer grows beyond (COSNet, table 4)."""
MAX_REFERENCES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class References(Generic[FeaturesT]):
    """Encoded references: frame index, features and memory of each, of batch size 1."""

    indices: tuple[int, ...]
    features: tuple[FeaturesT, ...]
    memories: tuple[Memory, ...]

    def without(self, index: int) -> tuple[Memory, ...]:
        """Return the memories of all references but the one with this frame index."""
        return tuple(memory for i, memory in zip(self.indices, self.memories, strict=True) if i != index)


class FindEngine(Generic[FeaturesT]):
    """Segments the subject of a video, frames of which an encoder encodes."""

    def __init__(self, encoder: FrameEncoder[FeaturesT]) -> None:
        self.encoder = encoder

    def check_fusion(self, fusion: Fusion | None) -> Fusion:
        """Return the way to use several references: the network's best if none is asked for."""
        network = self.encoder.network
        if fusion is None:
            return network.fusions[0]
        if fusion not in network.fusions:
            raise UsageError(
                f"fusion {fusion!r}",
                why=f"{type(network).__name__} is not made for it",
                fix=f"use one of: {', '.join(network.fusions)}",
            )
        return fusion

    def remember(self, frames: Iterable[Observed]) -> References[FeaturesT]:
        """First pass: encode the references, one at a time."""
        indices, encoded, memories = [], [], []
        with self.encoder.computing():
            for observed in frames:
                features = self.encoder.encode([observed])
                indices.append(observed.frame.index)
                encoded.append(features)
                memories.append(self.encoder.network.memorise(features))
        return References(indices=tuple(indices), features=tuple(encoded), memories=tuple(memories))

    def stream(
        self,
        frames: Iterable[Observed],
        references: References[FeaturesT],
        *,
        fusion: Fusion | None = None,
        refine: Refinement = "none",
    ) -> Iterator[FrameResult]:
        """Second pass: segment each frame; yield one result for each, in order.

        Args:
            frames: From `FrameEncoder.observe`.
            references: From `remember`; with none, each frame is compared with itself.
            fusion: Way to use several references; None takes the network's best.
            refine: Way to fit the probabilities to the picture.

        Raises:
            UsageError: The network cannot do this fusion.
        """
        chosen = self.check_fusion(fusion)
        source = iter(frames)
        while batch := list(islice(source, self.encoder.batch)):
            yield from self._segment(batch, references, chosen, refine)

    def _segment(
        self, observed: Sequence[Observed], references: References[FeaturesT], fusion: Fusion, refine: Refinement
    ) -> Iterator[FrameResult]:
        known = dict(zip(references.indices, references.features, strict=True))
        fresh = [each for each in observed if each.frame.index not in known]
        logits: dict[int, Tensor] = {}
        with self.encoder.computing():
            if fresh:
                features = self.encoder.encode(fresh)
                if references.memories:
                    decoded = self.encoder.network.segment(features, references.memories, fusion=fusion)[:, 0]
                else:
                    rows = (select_rows(features, [row]) for row in range(len(fresh)))
                    decoded = torch.stack([self.segment_one(own, (), fusion=fusion) for own in rows])
                logits = dict(zip((each.frame.index for each in fresh), decoded, strict=True))
            for index in known.keys() & {each.frame.index for each in observed}:
                logits[index] = self.segment_one(known[index], references.without(index), fusion=fusion)
        for frame in (each.frame for each in observed):
            own_probability = to_probability(logits[frame.index], size=frame.size)
            probability = refine_probability(
                frame.image, own_probability, refinement=refine, device=self.encoder.device
            )
            mask = probability > THRESHOLD
            yield FrameResult(
                frame=frame,
                probability=probability,
                labels=mask.astype(np.uint8),
                # By the network's own probabilities: a CRF's marginals are near 0 and 1 whether they are right or not.
                confidence=expected_jaccard(own_probability, mask),
            )

    def logits(self, observed: Sequence[Observed], encoded: FeaturesT, references: References[FeaturesT]) -> Tensor:
        """Segment encoded frames as `stream` does; to be called while the encoder is computing.

        Returns:
            B x 1 x h x w float32 logits.
        """
        if not references.memories:
            alone = (self.segment_one(select_rows(encoded, [row]), ()) for row in range(len(observed)))
            return torch.stack(list(alone)).unsqueeze(1)
        decoded = self.encoder.network.segment(encoded, references.memories, fusion=self.check_fusion(None))
        for row, each in enumerate(observed):
            if each.frame.index in references.indices:
                others = references.without(each.frame.index)
                decoded[row, 0] = self.segment_one(select_rows(encoded, [row]), others)
        return decoded

    def segment_one(self, own: FeaturesT, others: tuple[Memory, ...], *, fusion: Fusion | None = None) -> Tensor:
        """Segment one encoded frame; to be called while the encoder is computing.

        Compared are the memories of the references; with none, the frame itself. The logits are h x w float32.
        """
        network = self.encoder.network
        return network.segment(own, others or (network.memorise(own),), fusion=self.check_fusion(fusion))[0, 0]


def expected_jaccard(probability: ProbabilityArray, mask: MaskArray) -> float:
    """Return the J, in [0, 1], that a mask H x W bool would have if the probabilities H x W float32 were right.

    With each pixel in the subject with its own probability p, the expected intersection of the mask with the truth
    is the sum of p inside the mask, and the expected union is the mask's area plus the sum of p outside. Their ratio
    is the quantity that optimal-decision work on the Jaccard index bounds (Nowozin, CVPR 2014, section 3). For an empty
    mask it is 1 - the highest probability: the chance that the likeliest pixel is empty too.
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


def check_references(count: int) -> None:
    """Refuse a number of references that makes no sense."""
    if not 0 <= count <= MAX_REFERENCES:
        raise UsageError(
            f"references = {count}",
            why="memory and time grow with them and accuracy does not",
            fix=f"use 0 to {MAX_REFERENCES}; {DEFAULT_REFERENCES} is the default",
        )


def uniform_references(frame_count: int, *, references: int) -> tuple[int, ...]:
    """Choose the frames in the middle of equal parts of the video (COSNet, section 3.3: uniform over the clip).

    The middles rather than the ends: first and last frames are often fades or cuts. All frames if there are fewer.
    """
    count = min(references, frame_count)
    return tuple((2 * part + 1) * frame_count // (2 * count) for part in range(count))


def random_references(frame_count: int, *, references: int, seed: int) -> tuple[int, ...]:
    """Choose frames at random, as in COSNet's released code, which draws anew for each query and without a seed.

    Here they are drawn once for a video, so that each is encoded once and the masks can be had again.
    """
    return tuple(sorted(random.Random(seed).sample(range(frame_count), min(references, frame_count))))
