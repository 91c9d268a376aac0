"""What the formats that are one video share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from covos.core.types import FrameResult, SourceInfo
from covos.formats.base import Destination
from covos.formats.compose import ComposedResult
from covos.formats.pictures import write_png
from covos.media.presets import FFV1, H264, PRORES_4444, QTRLE, VP9_ALPHA, Preset
from covos.media.writer import VideoWriter


class VideoOutput(ABC):
    """A video, ``<name>.<suffix>``, with the source's size, presentation times and pixel aspect, and its sound.

    A folder of frames becomes a video at its frame rate. A single image, or a folder with one, becomes a PNG: a
    video of one frame is of no use to anyone. A *video* of one frame stays a video.
    """

    name: ClassVar[str]
    preset: ClassVar[Preset] = H264

    def __init__(self, folder: Destination, *, info: SourceInfo, source_path: Path) -> None:
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


# ``webm``: the subject with alpha for web pages, VP9, ``webm.webm``.


class WebmWriter(VideoOutput):
    """Chrome and Firefox play its alpha. FFmpeg needs to be told: its own VP9 decoder drops it, libvpx does not."""

    name = "webm"
    preset = VP9_ALPHA

    def picture(self, result: FrameResult) -> NDArray[np.uint8]:
        """The subject with straight alpha."""
        return ComposedResult.of(result).rgba


# ``prores``: the subject with alpha for editing programs, ProRes 4444, ``prores.mov``.


class ProresWriter(VideoOutput):
    """Straight (not premultiplied) alpha. Nearly lossless, and large."""

    name = "prores"
    preset = PRORES_4444

    def picture(self, result: FrameResult) -> NDArray[np.uint8]:
        """The subject with straight alpha."""
        return ComposedResult.of(result).rgba


# ``qtrle``: the subject with alpha, lossless, QuickTime Animation, ``qtrle.mov``.


class QtrleWriter(VideoOutput):
    """Eight bits a channel, run lengths: what older editing programs read alpha from. Large."""

    name = "qtrle"
    preset = QTRLE

    def picture(self, result: FrameResult) -> NDArray[np.uint8]:
        """The subject with straight alpha."""
        return ComposedResult.of(result).rgba


# ``ffv1``: the subject with alpha, lossless, FFV1, ``ffv1.mkv``.


class Ffv1Writer(VideoOutput):
    """For keeping: every pixel and every level of alpha as computed, with a checksum for each slice."""

    name = "ffv1"
    preset = FFV1

    def picture(self, result: FrameResult) -> NDArray[np.uint8]:
        """The subject with straight alpha."""
        return ComposedResult.of(result).rgba


# ``matte-video``: the matte as a grey video, ``matte-video.mp4``: white is the subject.


class MatteVideoWriter(VideoOutput):
    """For editing programs, as a luma matte above the source clip.

    Limited range and tagged so, as all H.264 that programs expect: black and white come back as 0 and 255 whether or
    not a program looks at the tag, at the price of 219 levels instead of 256.
    """

    name = "matte-video"

    def picture(self, result: FrameResult) -> NDArray[np.uint8]:
        """The matte in three equal channels."""
        return np.repeat(ComposedResult.of(result).alpha[..., None], 3, axis=2)
