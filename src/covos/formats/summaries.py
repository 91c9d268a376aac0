"""``sheet``: a contact sheet of evenly spaced frames, ``sheet.png``; ``sheet=24`` for 24 of them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from covos.core.errors import UsageError
from covos.core.files import atomic_path
from covos.core.types import FrameResult, ImageArray, SourceInfo
from covos.formats.base import Destination
from covos.formats.pictures import write_png
from covos.masks import contact_sheet, draw_overlay

# Keep a few evenly spaced frames of a stream whose end is not known.


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


_DEFAULT = 12
_MOST = 100
_COLUMNS = 4
_CELL_WIDTH = 320


class SheetWriter:
    """The frames with their objects drawn in, and name and time under each."""

    name = "sheet"
    labels_only = True
    warnings: tuple[str, ...] = ()

    def __init__(self, folder: Destination, *, info: SourceInfo, source_path: Path, value: str | None = None) -> None:
        self._folder = folder
        self._count = int(value or _DEFAULT)
        # Four times what is shown, so that what is picked lies evenly.
        self._sample = EvenSample(capacity=4 * self._count, width=_CELL_WIDTH, pixel_aspect=info.pixel_aspect)
        self._finished: tuple[Path, ...] = ()

    @staticmethod
    def check_value(value: str) -> None:
        """How many frames."""
        if not value.isascii() or not value.isdecimal() or not 1 <= int(value) <= _MOST:
            raise UsageError(f"sheet={value}", why=f"a sheet has 1 to {_MOST} frames", fix="write sheet=24, say")

    def write(self, result: FrameResult) -> None:
        """Keep the frame if it is its turn."""
        self._sample.add(result)

    def close(self) -> tuple[Path, ...]:
        """Lay the sheet out and write it."""
        if self._sample.kept and not self._finished:
            chosen = self._sample.pick(self._count)
            sheet = contact_sheet(
                [each.image for each in chosen],
                columns=min(_COLUMNS, len(chosen)),
                cell_width=_CELL_WIDTH,
                captions=[f"{each.stem}  {each.time:.2f} s" for each in chosen],
            )
            target = self._folder.file(f"{self.name}.png")
            write_png(target, sheet)
            self._finished = (target,)
        return self._finished

    def abort(self) -> None:
        """Forget the frames."""
        self._sample.kept.clear()


# ``preview``: a small animation for a chat or a page, ``preview.webp``; ``preview=gif`` for ``preview.gif``.

_WIDTH = 320
_FRAMES = 48


class PreviewWriter:
    """At most 48 evenly spaced frames, 320 pixels wide, with the objects drawn in, at the speed of the clip."""

    name = "preview"
    labels_only = True
    warnings: tuple[str, ...] = ()

    def __init__(self, folder: Destination, *, info: SourceInfo, source_path: Path, value: str | None = None) -> None:
        self._folder = folder
        self._suffix = value or "webp"
        self._step = 1 / float(info.frame_rate or 1)
        self._last = 0.0
        self._sample = EvenSample(capacity=_FRAMES, width=_WIDTH, pixel_aspect=info.pixel_aspect)
        self._finished: tuple[Path, ...] = ()

    @staticmethod
    def check_value(value: str) -> None:
        """``webp`` or ``gif``."""
        if value not in {"gif", "webp"}:
            raise UsageError(f"preview={value}", why="a preview is gif or webp", fix="write preview or preview=gif")

    def write(self, result: FrameResult) -> None:
        """Keep the frame if it is its turn."""
        self._sample.add(result)
        self._last = result.frame.time

    def close(self) -> tuple[Path, ...]:
        """Write the animation."""
        kept = self._sample.kept
        if kept and not self._finished:
            first, *rest = [Image.fromarray(each.image) for each in kept]
            ends = [*(each.time for each in kept[1:]), self._last + self._step]
            shown = [max(1, round(1000 * (end - each.time))) for each, end in zip(kept, ends, strict=True)]
            target = self._folder.file(f"{self.name}.{self._suffix}")
            with atomic_path(target) as temporary:
                first.save(
                    temporary,
                    format=self._suffix.upper(),
                    save_all=True,
                    append_images=rest,
                    duration=shown,
                    loop=0,
                    quality=70,  # of WebP; GIF has none
                )
            self._finished = (target,)
        return self._finished

    def abort(self) -> None:
        """Forget the frames."""
        self._sample.kept.clear()
