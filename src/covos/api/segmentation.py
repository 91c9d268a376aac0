"""The result of segmenting a source: small, in memory, to be looked at, sliced and saved."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import overload

import numpy as np

from covos.api.output import DEFAULT_FORMATS, Origin, Saved, write_results
from covos.errors import SourceError
from covos.media import Health, open_source
from covos.outputs import FrameMask, OutputFolder, check_formats
from covos.types import Frame, FrameResult, SourceInfo


@dataclass(frozen=True, kw_only=True)
class Segmentation:
    """The masks of a source's frames, in order.

    A sequence: ``len``, iteration, an index gives a `FrameMask`, a slice another `Segmentation`.

    Attributes:
        info: Of the source.
        health: How reading it went.
        origin: Model, weights, device and settings.
        frames: One entry for each decoded frame.
    """

    info: SourceInfo
    health: Health
    origin: Origin
    frames: tuple[FrameMask, ...]

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.origin.model

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

    def save(
        self,
        folder: str | os.PathLike[str],
        *,
        formats: Sequence[str] = DEFAULT_FORMATS,
        overwrite: bool = False,
    ) -> Saved:
        """Write the masks in one or more formats, with a report.

        The pictures are read from the source again: it must still be there.

        Args:
            folder: Where to; made if it is not there.
            formats: Names of `covos.outputs.FORMATS`.
            overwrite: Whether an earlier result in the folder may be replaced. Other files never are.

        Raises:
            UsageError: The folder is not empty, or a format is unknown.
            SourceError: The source is gone or has changed.
            EnvironmentProblem: The disk is full or not writable.
        """
        check_formats(formats)
        target = OutputFolder(Path(folder), overwrite=overwrite)
        rate = self.info.frame_rate if self.info.kind == "frames" else None
        with open_source(self.info.path, frame_rate=rate) as source:
            if (source.info.height, source.info.width) != (self.info.height, self.info.width):
                raise self._changed("its frames have another size")
            # A part of a source is complete in itself: its report counts what it holds.
            whole = len(self) == self.health.decoded
            health = self.health if whole else Health(decoded=len(self), expected=len(self))
            return write_results(
                self._replay(iter(source)),
                info=self.info,
                health=lambda: health,
                folder=target,
                formats=formats,
                origin=self.origin,
            )

    def _replay(self, pictures: Iterator[Frame]) -> Iterator[FrameResult]:
        for kept in sorted(self.frames, key=lambda each: each.index):
            frame = next((each for each in pictures if each.index == kept.index), None)
            if frame is None or frame.size != kept.size:
                raise self._changed(f"frame {kept.index} is no longer what it was")
            labels = kept.labels
            yield FrameResult(
                frame=frame, probability=(labels > 0).astype(np.float32), labels=labels, confidence=kept.confidence
            )

    def _changed(self, why: str) -> SourceError:
        return SourceError(f"{self.info.path} has changed since it was segmented", why=why, fix="segment it again")
