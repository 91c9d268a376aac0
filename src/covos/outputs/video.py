"""What the formats that are one video share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from covos.media import VideoWriter
from covos.media.presets import H264, Preset
from covos.outputs.folder import OutputFolder
from covos.outputs.png import write_png
from covos.types import FrameResult, SourceInfo


class VideoOutput(ABC):
    """A video, ``<name>.<suffix>``, with the source's size, presentation times and pixel aspect, and its sound.

    A folder of frames becomes a video at its frame rate. A single image, or a folder with one, becomes a PNG: a
    video of one frame is of no use to anyone. A *video* of one frame stays a video.
    """

    name: ClassVar[str]
    preset: ClassVar[Preset] = H264

    def __init__(self, folder: OutputFolder, *, info: SourceInfo, source_path: Path) -> None:
        self._folder = folder
        self._info = info
        self._sound = source_path if info.has_audio else None
        self._is_still = info.kind == "image" or (info.kind == "frames" and info.frame_count == 1)
        self._video: VideoWriter | None = None
        self._finished: tuple[Path, ...] = ()

    @abstractmethod
    def picture(self, result: FrameResult) -> NDArray[np.uint8]:
        """What the video shows: H x W x 3 RGB, or H x W x 4 RGBA if the preset has alpha."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the video could not keep of the source."""
        if self._video is None:
            return ()
        bottom, right = self._video.padding
        padded = (
            f"{self.preset.label} needs even sizes: {right} column and {bottom} row were added by repeating the edge",
        )
        warnings = self._video.warnings + (padded if bottom or right else ())
        return tuple(f"{self.name}: {text}" for text in warnings)

    def write(self, result: FrameResult) -> None:
        """Draw the frame and add it."""
        picture = self.picture(result)
        if self._is_still:
            target = self._folder.file(f"{self.name}.png")
            write_png(target, picture)
            self._finished = (target,)
            return
        if self._video is None:
            self._video = self._open(result)
        self._video.write(picture, pts=result.frame.pts)

    def close(self) -> tuple[Path, ...]:
        """Finish the video."""
        if self._video is not None and not self._finished:
            self._video.close()
            self._finished = (self._folder.path / self._file,)
        return self._finished

    def abort(self) -> None:
        """Remove the unfinished video."""
        if self._video is not None:
            self._video.abort()

    @property
    def _file(self) -> str:
        return f"{self.name}{self.preset.suffix}"

    def _open(self, result: FrameResult) -> VideoWriter:
        return VideoWriter(
            self._folder.file(self._file),
            height=self._info.height,
            width=self._info.width,
            time_base=result.frame.time_base,
            frame_rate=self._info.frame_rate,
            preset=self.preset,
            audio_from=self._sound,
            pixel_aspect=self._info.pixel_aspect,
        )
