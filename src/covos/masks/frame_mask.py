"""The masks of one frame as run lengths, as results hold them and annotation formats write and read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

import numpy as np

from covos.core.types import Frame, FrameResult, FrameStatus, LabelArray, MaskArray, ObjectStatus, ProbabilityArray
from covos.masks.object_ids import present_ids
from covos.masks.rle import RLE, decode, encode
from covos.masks.soft import SoftMask, soft_edge

SURE: Final = 0.5
"""Confidence, an expected J, from which the size of a mask tells how large its object is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameMask:
    """The masks of one frame, run-length encoded; decoded each time they are asked for.

    Attributes:
        index: 0-based position; ``index``, ``stem``, ``pts``, ``time_base`` and ``status`` are as in `Frame`.
        confidence: In [0, 1] (see `covos.engines.find`); NaN where it is not known.
        size: (height, width) in pixels.
        objects: Mask of each object id that is present.
        states: State of each object that is followed, present or not.
        file: Name of the frame's picture file; None for a frame of a video.
        soft: The probability, compressed; None where masks alone are known.
        kept_matte: The matte, compressed; None where none was made.
        source_index: See `Frame`.
        feather: Pixels over which the edge was made soft on request.
    """

    index: int
    stem: str
    pts: int
    time_base: Fraction
    status: FrameStatus
    confidence: float
    size: tuple[int, int]
    objects: Mapping[int, RLE]
    states: tuple[ObjectStatus, ...] = ()
    file: str | None = None
    soft: SoftMask | None = None
    kept_matte: SoftMask | None = None
    source_index: int | None = None
    feather: float = 0.0

    @property
    def number(self) -> int:
        """Number of the frame in the whole source (see `Frame.number`)."""
        return self.index if self.source_index is None else self.source_index

    @property
    def time(self) -> float:
        """Presentation time in seconds."""
        return float(self.pts * self.time_base)

    @property
    def labels(self) -> LabelArray:
        """H x W uint8; 0 = background, 1.. = object ids. If two masks overlap, the higher id stays."""
        return labels_of(self.objects, size=self.size)

    @property
    def mask(self) -> MaskArray:
        """H x W bool: any object."""
        return self.labels > 0

    @property
    def probability(self) -> ProbabilityArray:
        """H x W float32 in [0, 1]: the probability that a pixel belongs to any object; 0 or 1 where it is not known."""
        return self.mask.astype(np.float32) if self.soft is None else self.soft.restore(self.mask)

    @property
    def matte(self) -> ProbabilityArray | None:
        """H x W float32 in [0, 1]: the opacity of all objects together; None where no matte was made."""
        return None if self.kept_matte is None else self.kept_matte.restore(self.mask)

    def sure_area(self, identity: int) -> int:
        """Return the pixels of an object; 0 if it has no mask here, or an unsure one. Drawn masks are sure."""
        if (mask := self.objects.get(identity)) is None:
            return 0
        confidence = next((each.confidence for each in self.states if each.id == identity), 1.0)
        return mask.area if confidence >= SURE else 0

    def with_soft_edge(self) -> FrameMask:
        """Return the same masks with a soft edge where none is known: masks that were changed by hand (`soft_edge`)."""
        if self.soft is not None or not self.objects:
            return self
        mask = self.mask
        return replace(self, soft=SoftMask.of(soft_edge(mask), mask))

    def onto(self, result: FrameResult) -> FrameResult:
        """Return a result of the same frame with these masks."""
        return result_of(self, result.frame, between=result.between)

    @classmethod
    def of(cls, result: FrameResult, *, soft: bool = True) -> FrameMask:
        """Keep a result's masks and, unless it is not wanted, its probability, and drop its picture."""
        frame = result.frame
        return cls(
            index=frame.index,
            stem=frame.stem,
            pts=frame.pts,
            time_base=frame.time_base,
            status=frame.status,
            confidence=result.confidence,
            size=frame.size,
            objects=objects_of(result.labels),
            states=result.objects,
            file=frame.file,
            soft=SoftMask.of(result.probability, result.labels > 0) if soft else None,
            kept_matte=None if result.matte is None else SoftMask.of(result.matte, result.labels > 0),
            source_index=frame.source_index,
            feather=result.feather,
        )


def result_of(mask: FrameMask, frame: Frame, *, between: bool = False) -> FrameResult:
    """Return the result that masks were kept of.

    Args:
        mask: The masks.
        frame: Their frame, with its picture.
        between: See `FrameResult`.

    Raises:
        InputError: A probability is damaged.
    """
    labels = mask.labels  # decoded once
    hard = labels > 0
    return FrameResult(
        frame=frame,
        probability=hard.astype(np.float32) if mask.soft is None else mask.soft.restore(hard),
        labels=labels,
        confidence=mask.confidence,
        objects=mask.states,
        matte=None if mask.kept_matte is None else mask.kept_matte.restore(hard),
        between=between,
        feather=mask.feather,
    )


def objects_of(labels: LabelArray) -> dict[int, RLE]:
    """Return the run-length code of each object of a label map, by id, ascending."""
    return {identity: encode(labels == identity) for identity in present_ids(labels)}


def labels_of(objects: Mapping[int, RLE], *, size: tuple[int, int]) -> LabelArray:
    """Return the uint8 label map, (height, width), of coded objects. If two overlap, the higher id stays."""
    labels = np.zeros(size, np.uint8)
    for identity in sorted(objects):
        labels[decode(objects[identity])] = identity
    return labels
