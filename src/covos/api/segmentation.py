"""The result of segmenting a source: small, in memory, to be looked at, sliced and saved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import overload

import numpy as np

from covos.masks.rle import RLE, decode, encode
from covos.media import Health
from covos.types import FrameResult, FrameStatus, LabelArray, MaskArray, SourceInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameMask:
    """The masks of one frame, run-length encoded.

    Attributes:
        index: 0-based position among the decoded frames of the source.
        stem: Name for this frame's outputs.
        pts: Presentation time in units of ``time_base``.
        time_base: Seconds per unit.
        status: Whether the decoder painted over damage.
        confidence: In [0, 1] (see `covos.engines.confidence`).
        size: (height, width) in pixels.
        objects: Mask of each object id that is present.
    """

    index: int
    stem: str
    pts: int
    time_base: Fraction
    status: FrameStatus
    confidence: float
    size: tuple[int, int]
    objects: Mapping[int, RLE]

    @property
    def time(self) -> float:
        """Presentation time in seconds."""
        return float(self.pts * self.time_base)

    @property
    def labels(self) -> LabelArray:
        """H x W uint8; 0 = background, 1.. = object ids."""
        labels = np.zeros(self.size, np.uint8)
        for identity, rle in self.objects.items():
            labels[decode(rle)] = identity
        return labels

    @property
    def mask(self) -> MaskArray:
        """H x W bool: any object."""
        return self.labels > 0

    @classmethod
    def of(cls, result: FrameResult) -> FrameMask:
        """Keep a result's masks and drop its pictures."""
        frame = result.frame
        return cls(
            index=frame.index,
            stem=frame.stem,
            pts=frame.pts,
            time_base=frame.time_base,
            status=frame.status,
            confidence=result.confidence,
            size=frame.size,
            objects={int(i): encode(result.labels == i) for i in np.unique(result.labels) if i},
        )


@dataclass(frozen=True, kw_only=True)
class Segmentation:
    """The masks of a source's frames, in order.

    A sequence: ``len``, iteration, an index gives a `FrameMask`, a slice another `Segmentation`.

    Attributes:
        info: Of the source.
        health: How reading it went.
        model: Name of the model.
        frames: One entry for each decoded frame.
    """

    info: SourceInfo
    health: Health
    model: str
    frames: tuple[FrameMask, ...]

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[FrameMask]:
        return iter(self.frames)

    @overload
    def __getitem__(self, position: int) -> FrameMask: ...

    @overload
    def __getitem__(self, position: slice) -> Segmentation: ...

    def __getitem__(self, position: int | slice) -> FrameMask | Segmentation:
        if isinstance(position, slice):
            return replace(self, frames=self.frames[position])
        return self.frames[position]

    def __repr__(self) -> str:
        height, width = self.info.height, self.info.width
        ids = sorted({identity for frame in self.frames for identity in frame.objects})
        return (
            f"Segmentation({len(self)} frames of {height} x {width}, objects {ids}, "
            f"model {self.model!r}, source {Path(self.info.path).name!r})"
        )
