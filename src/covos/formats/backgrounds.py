"""Formats that are one video without alpha: ``background``, ``blur``, ``green``; and ``overlay``, to look at masks."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from covos.core.errors import UsageError
from covos.core.types import FrameResult, ImageArray
from covos.formats.compose import ComposedResult, blurred_background, lay_over
from covos.formats.videos import VideoFormat
from covos.masks import draw_overlay
from covos.media.images import read_image

_WHITE = "#ffffff"
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_SIGMA_PER_DIAGONAL = 1 / 80

GREEN = (0, 255, 0)
"""RGB; colour keys are set to it when they are opened."""


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
        return fill_frame(read_image(Path(value)), size=size, pixel_aspect=self._info.pixel_aspect)


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


def fill_frame(image: ImageArray, *, size: tuple[int, int], pixel_aspect: Fraction) -> ImageArray:
    """Scale a picture of square pixels until it fills a frame of (height, width), and cut what stands over."""
    height, width = image.shape[:2]
    shape = float(size[1] * pixel_aspect / size[0])
    kept_width, kept_height = min(width, max(1, round(height * shape))), min(height, max(1, round(width / shape)))
    top, left = (height - kept_height) // 2, (width - kept_width) // 2
    part = image[top : top + kept_height, left : left + kept_width]
    smaller = kept_height > size[0]
    interpolation = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(part, (size[1], size[0]), interpolation=interpolation), np.uint8)
