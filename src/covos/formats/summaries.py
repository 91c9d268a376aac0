"""Formats that show a few frames of a clip: ``sheet``, a contact sheet, and ``preview``, a small animation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from covos.core.errors import UsageError
from covos.core.files import atomic_path
from covos.core.types import FrameResult, ImageArray
from covos.formats.base import Format
from covos.formats.pictures import write_png
from covos.masks import contact_sheet, draw_overlay

_WIDTH = 320
_GIF_UNIT = 10
"""Thousandths of a second in which a GIF counts."""
_GIF_LEAST = 20
"""Browsers show a frame of a GIF for longer than it says if that is less."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SmallFrame:
    """A frame made small and of square pixels: with its objects drawn in, or RGBA with the subject alone."""

    stem: str
    time: float
    image: ImageArray


class SampledFormat(Format):
    """A format that shows a few evenly spaced frames of a stream whose end is not known.

    It keeps every frame at first; when they are too many, every second of them goes and the step doubles.
    """

    labels_only = True
    _step = 1
    _end = 0.0

    @property
    def _capacity(self) -> int:
        return 48

    @cached_property
    def _kept(self) -> list[SmallFrame]:
        return []

    def _add(self, result: FrameResult) -> None:
        frame = result.frame
        lasts = 1 / (self._info.frame_rate or 1) if frame.duration is None else frame.duration * frame.time_base
        self._end = float(frame.pts * frame.time_base + lasts)
        if self._written % self._step == 0 and len(self._kept) == self._capacity:
            del self._kept[1::2]
            self._step *= 2
        if self._written % self._step == 0:
            self._kept.append(self._small(result))

    def _small(self, result: FrameResult) -> SmallFrame:
        size = self._size(result.frame.size)
        interpolation = cv2.INTER_AREA if size[0] < result.frame.size[1] else cv2.INTER_LINEAR
        image = cv2.resize(result.frame.image, size, interpolation=interpolation)
        labels = cv2.resize(result.labels, size, interpolation=cv2.INTER_NEAREST)
        return SmallFrame(
            stem=result.frame.stem,
            time=result.frame.time,
            image=draw_overlay(np.asarray(image, np.uint8), np.asarray(labels, np.uint8)),
        )

    def _size(self, whole: tuple[int, int]) -> tuple[int, int]:
        """Return the (width, height) of a frame of this (height, width), made small and of square pixels."""
        height, width = whole
        aspect = self._info.pixel_aspect
        target = min(_WIDTH, round(width * max(Fraction(1), aspect)))
        return target, max(1, round(height * target / (width * aspect)))

    def _durations(self, *, gif: bool) -> list[int]:
        """Return the thousandths of a second for which each frame is shown, as a GIF or a WebP can say them.

        What is rounded is the time at which each frame ends. Durations that are rounded one by one add up to another
        speed: at 30 frames a second, a GIF would have 30 ms for each 33.
        """
        unit, least = (_GIF_UNIT, _GIF_LEAST) if gif else (1, 1)
        ends = [*(each.time for each in self._kept[1:]), self._end]
        durations, begin = [], 0
        for end in ends:
            lasts = max(least, unit * round(1000 * (end - self._kept[0].time) / unit) - begin)
            durations.append(lasts)
            begin += lasts
        return durations

    def _animate(self, pictures: Sequence[Image.Image], *, target: Path, **options: Any) -> Path:
        """Write a picture of each frame that was kept as an animation that goes on for ever: GIF or WebP."""
        first, *rest = pictures
        with atomic_path(target) as temporary:
            first.save(
                temporary,
                format=target.suffix[1:].upper(),
                save_all=True,
                append_images=rest,
                duration=self._durations(gif=target.suffix == ".gif"),
                loop=0,
                **options,
            )
        return target


class SheetFormat(SampledFormat):
    """12 frames with their objects drawn in, name and time under each; ``sheet=24`` for 24 of them."""

    name = "sheet"
    output = "sheet.png"
    choices = ("12", "24", "48")

    @classmethod
    def check_value(cls, value: str) -> None:
        """Accept a number of frames."""
        if not value.isascii() or not value.isdecimal() or not 1 <= int(value) <= 100:
            raise UsageError(f"sheet={value}", why="a sheet has 1 to 100 frames", fix="write sheet=24, say")

    @property
    def _shown(self) -> int:
        return int(self._value or 12)

    @property
    def _capacity(self) -> int:
        return 4 * self._shown  # so that what is picked lies evenly

    def _finish(self) -> Path:
        places = np.linspace(0, len(self._kept) - 1, min(self._shown, len(self._kept)))
        chosen = [self._kept[round(place)] for place in places]
        sheet = contact_sheet(
            [each.image for each in chosen],
            columns=min(4, len(chosen)),
            cell_width=_WIDTH,
            captions=[f"{each.stem}  {each.time:.2f} s" for each in chosen],
        )
        target = self._folder.file(self.output)
        write_png(target, sheet)
        return target


class PreviewFormat(SampledFormat):
    """At most 48 evenly spaced frames as WebP, or as ``preview=gif``, at the speed of the clip.

    A GIF shows at most 50 frames a second: a short clip of more is slower.
    """

    name = "preview"
    output = "preview.webp"
    choices = ("webp", "gif")
    offers = "a preview is gif or webp"

    @classmethod
    def _remedy(cls, _: str) -> str:
        return "write preview or preview=gif"

    @classmethod
    def suffix_of(cls, value: str | None) -> str:
        """Return that of WebP or GIF."""
        return f".{value or 'webp'}"

    @classmethod
    def suffixes(cls) -> dict[str, str]:
        """Return both."""
        return {cls.name: ".webp", f"{cls.name}=gif": ".gif"}

    def _finish(self) -> Path:
        target = self._folder.file(f"{self.name}{self.suffix_of(self._value)}")
        # The quality is of WebP; GIF has none.
        return self._animate([Image.fromarray(each.image) for each in self._kept], target=target, quality=70)
