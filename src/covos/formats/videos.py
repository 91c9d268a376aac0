"""Formats that are one video: the subject with alpha, before another background, or marked in the source."""

from __future__ import annotations

import math
import re
from abc import abstractmethod
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.errors import UsageError
from covos.core.types import FrameResult, ImageArray
from covos.formats.base import Format
from covos.formats.compose import ComposedResult, blurred_background, lay_over
from covos.formats.pictures import write_png
from covos.masks import draw_overlay
from covos.media.images import read_image
from covos.media.presets import FFV1, H264, PRORES_4444, QTRLE, VP9_ALPHA, Preset
from covos.media.writer import VideoWriter

_WHITE = "#ffffff"
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_SIGMA_PER_DIAGONAL = 1 / 80

GREEN = (0, 255, 0)
"""RGB; colour keys are set to it when they are opened."""


class VideoFormat(Format):
    """A video, ``<name><suffix>``, with the source's size, presentation times and pixel aspect, and its sound.

    A folder of frames becomes a video at its frame rate. A single image, or a folder with one, becomes a PNG,
    ``<name>.png``: a video of one frame is of no use to anyone. A *video* of one frame stays a video.
    """

    shape = "video"
    preset: ClassVar[Preset] = H264
    _video: VideoWriter | None = None

    def __init_subclass__(cls) -> None:
        if hasattr(cls, "name"):
            cls.output = f"{cls.name}{cls.preset.suffix}"

    @abstractmethod
    def picture(self, result: FrameResult) -> NDArray[np.uint8]:
        """Return a frame of the video: H x W x 3 RGB, or H x W x 4 RGBA if the preset has alpha."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Things that the video could not keep of the source."""
        if self._video is None:
            return ()
        bottom, right = self._video.padding
        padded = (
            f"{self.preset.label} needs even sizes: {right} column and {bottom} row were added by repeating the edge",
        )
        warnings = self._video.warnings + (padded if bottom or right else ())
        return tuple(f"{self.name}: {text}" for text in warnings)

    def _add(self, result: FrameResult) -> None:
        picture, info = self.picture(result), self._info
        if info.kind == "image" or (info.kind == "frames" and info.frame_count == 1):
            write_png(self._folder.file(f"{self.name}.png"), picture)
            return
        if self._video is None:
            self._video = VideoWriter(
                self._folder.file(self.output),
                height=info.height,
                width=info.width,
                time_base=result.frame.time_base,
                frame_rate=info.frame_rate,
                preset=self.preset,
                audio_from=self._source_path if info.has_audio else None,
                pixel_aspect=info.pixel_aspect,
                cut=info.is_part,
                from_zero=info.times == "zero",
            )
        self._video.write(picture, pts=result.frame.pts)

    def _finish(self) -> Path:
        if self._video is None:
            return self._folder.path / f"{self.name}.png"
        self._video.close()
        return super()._finish()

    def _abandon(self) -> None:
        if self._video is not None:
            self._video.abort()


class _AlphaFormat(VideoFormat):
    """The subject with straight (not premultiplied) alpha."""

    def picture(self, result: FrameResult) -> NDArray[np.uint8]:
        """Return the subject with its alpha."""
        return ComposedResult.of(result).rgba


class WebmFormat(_AlphaFormat):
    """For web pages, VP9: Chrome and Firefox play its alpha.

    FFmpeg needs to be told: its own VP9 decoder drops alpha, libvpx does not.
    """

    name = "webm"
    preset = VP9_ALPHA


class ProresFormat(_AlphaFormat):
    """For editing programs, ProRes 4444: nearly lossless, and large."""

    name = "prores"
    preset = PRORES_4444
    bytes_per_pixel = 0.85


class QtrleFormat(_AlphaFormat):
    """For older editing programs, QuickTime Animation: lossless, eight bits a channel, run lengths. Large."""

    name = "qtrle"
    preset = QTRLE
    bytes_per_pixel = 1.48


class Ffv1Format(_AlphaFormat):
    """For keeping, FFV1: every pixel and every level of alpha as computed, with a checksum for each slice."""

    name = "ffv1"
    preset = FFV1
    bytes_per_pixel = 0.40


class MatteVideoFormat(VideoFormat):
    """The alpha as a grey video, for editing programs as a luma matte above the source clip: white is the subject.

    Limited range and tagged so, as all H.264 that programs expect: black and white come back as 0 and 255 whether or
    not a program looks at the tag, at the price of 219 levels instead of 256.
    """

    name = "matte-video"

    def picture(self, result: FrameResult) -> NDArray[np.uint8]:
        """Return the alpha in three equal channels."""
        return np.repeat(ComposedResult.of(result).alpha[..., None], 3, axis=2)


class BackdropFormat(VideoFormat):
    """The subject before another background: white, ``background=#rrggbb`` a colour, ``background=FILE`` a picture.

    The picture is scaled to fill the frame and cut where it does not fit.
    """

    name = "background"

    @classmethod
    def check_value(cls, value: str) -> None:
        """Accept a colour such as ``#102030``, and an image file."""
        if value.startswith("#"):
            if not _COLOUR.fullmatch(value):
                why = "a colour is # and six hexadecimal digits"
                raise UsageError(f"background={value}", why=why, fix="write #00b140, say")
            return
        if not Path(value).is_file():
            fix = "name a picture, or a colour such as #00b140"
            raise UsageError(f"background={value}", why="there is no such file", fix=fix)
        read_image(Path(value))

    def picture(self, result: FrameResult) -> ImageArray:
        """Return the subject over the background."""
        return lay_over(result, self._background)

    @cached_property
    def _background(self) -> ImageArray:
        value, size = self._value or _WHITE, (self._info.height, self._info.width)
        if value.startswith("#"):
            return np.full((*size, 3), list(bytes.fromhex(value[1:])), np.uint8)
        image = read_image(Path(value))
        height, width = image.shape[:2]
        shape = float(size[1] * self._info.pixel_aspect / size[0])
        kept_width, kept_height = min(width, max(1, round(height * shape))), min(height, max(1, round(width / shape)))
        top, left = (height - kept_height) // 2, (width - kept_width) // 2
        part = image[top : top + kept_height, left : left + kept_width]
        interpolation = cv2.INTER_AREA if kept_height > size[0] else cv2.INTER_CUBIC
        return np.asarray(cv2.resize(part, (size[1], size[0]), interpolation=interpolation), np.uint8)


class BlurFormat(VideoFormat):
    """The background out of focus. The blur takes nothing from the subject: no glow of its colours around it."""

    name = "blur"

    def picture(self, result: FrameResult) -> ImageArray:
        """Return the subject, sharp, over the blurred background."""
        sigma = math.hypot(*result.frame.size) * _SIGMA_PER_DIAGONAL
        composed = ComposedResult.of(result)
        return lay_over(composed, blurred_background(result.frame.image, composed.opacity, sigma=sigma))


class GreenFormat(VideoFormat):
    """The subject before a green screen, for programs that key colours and know no alpha.

    Soft edges are mixed with the green, as in front of a real screen.
    """

    name = "green"

    def picture(self, result: FrameResult) -> ImageArray:
        """Return the subject over plain green."""
        return lay_over(result, np.full_like(result.frame.image, GREEN))


class OverlayFormat(VideoFormat):
    """The source with the objects tinted and outlined: what was found, on what it was found in."""

    name = "overlay"
    labels_only = True

    def picture(self, result: FrameResult) -> ImageArray:
        """Return the objects over the frame."""
        return draw_overlay(result.frame.image, result.labels)
