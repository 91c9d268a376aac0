"""Keep a few evenly spaced frames of a stream whose end is not known."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np

from covos.masks import draw_overlay
from covos.types import FrameResult, ImageArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kept:
    """A frame that was kept, small.

    Attributes:
        stem: Of the frame.
        time: In seconds.
        image: H x W x 3 uint8 RGB, the objects drawn in, of square pixels.
    """

    stem: str
    time: float
    image: ImageArray


class EvenSample:
    """Every frame at first; when there are too many, every second of them goes and the step doubles.

    Args:
        capacity: Frames to keep at most; at least half as many are kept of a longer clip.
        width: Of the kept pictures, in pixels.
        pixel_aspect: Displayed width of a source's pixel over its height.
    """

    def __init__(self, *, capacity: int, width: int, pixel_aspect: Fraction) -> None:
        self._capacity = capacity
        self._width = width
        self._pixel_aspect = pixel_aspect
        self._step = 1
        self._count = 0
        self.kept: list[Kept] = []

    def add(self, result: FrameResult) -> None:
        """See the next frame, and keep it if it is its turn."""
        if self._count % self._step == 0:
            if len(self.kept) == self._capacity:
                del self.kept[1::2]
                self._step *= 2
            if self._count % self._step == 0:
                self.kept.append(self._small(result))
        self._count += 1

    def pick(self, count: int) -> list[Kept]:
        """So many of the kept frames, from the first to the last; all if there are fewer."""
        if count >= len(self.kept):
            return list(self.kept)
        return [self.kept[round(place)] for place in np.linspace(0, len(self.kept) - 1, count)]

    def _small(self, result: FrameResult) -> Kept:
        height, width = result.frame.size
        target = min(self._width, round(width * max(Fraction(1), self._pixel_aspect)))
        size = target, max(1, round(height * target / (width * self._pixel_aspect)))
        shrinks = size[0] < width
        interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        image = cv2.resize(result.frame.image, size, interpolation=interpolation)
        labels = cv2.resize(result.labels, size, interpolation=cv2.INTER_NEAREST)
        return Kept(
            stem=result.frame.stem,
            time=result.frame.time,
            image=draw_overlay(np.asarray(image, np.uint8), np.asarray(labels, np.uint8)),
        )
