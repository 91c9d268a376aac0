"""Animated pictures that Pillow reads as a source of frames: WebP, which FFmpeg does not read, and AVIF with alpha.

FFmpeg gives the alpha of an AVIF as another video. Pillow does not say the times of all frames beforehand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import numpy as np
from PIL import Image

from covos.core.errors import SourceError
from covos.core.guarded import read_guarded
from covos.core.types import Frame, SourceInfo
from covos.media.container import open_container, packets_of, picture_stream
from covos.media.images import UnreadableImageError, opened_image
from covos.media.picture import ALPHA_NOTE, as_picture
from covos.media.source import Health, MissingFrame, Source, check_frames

_TIME_BASE = Fraction(1, 1000)
_QUICKEST, _USUAL = 10, 100
"""Milliseconds: a frame that is shown for less than the first is shown for the second, as in browsers."""


class AnimatedSource(Source):
    """An animated WebP or AVIF; see ``open_source``. Frames are whole pictures, composed as the file says."""

    def __init__(self, path: Path, *, name: str) -> None:
        self._path, self._name = path, name
        self.files = (path,)
        self._decoded = 0
        self._why = ""  # what ended the latest full pass early
        content = read_guarded(path, what=f"{path}: the image cannot be read", fix="write it again", error=SourceError)
        with opened_image(path) as image:
            count = int(getattr(image, "n_frames", 1))
            width, height = image.size
            codec = (image.format or "").lower()
        stated = _durations(content) if codec == "webp" else _packet_durations(path)
        shown = [each if each > _QUICKEST else _USUAL for each in stated]
        check_frames(name, count)
        if len(shown) != count:
            raise UnreadableImageError(
                f"{path}: the animation cannot be read",
                why=f"it holds {count} frames, and times of {len(shown)}",
                fix="write it again",
            )
        self._starts = list(accumulate(shown, initial=0))
        self.info = SourceInfo(
            path=name,
            kind="video",
            height=height,
            width=width,
            frame_count=count,
            frame_rate=Fraction(1000 * count, self._starts[-1]),
            duration=self._starts[-1] / 1000,
            time_base=_TIME_BASE,
            codec=codec,
        )
        self._has_alpha = next(self._read_some((0,))).alpha is not None

    @property
    def health(self) -> Health:
        """See ``Source.health``."""
        count = self.info.frame_count
        missing = range(self._decoded, count) if self._why else range(0)
        lost = tuple(MissingFrame(after=self._decoded - 1, pts=self._starts[each], why=self._why) for each in missing)
        said = (f"frames {missing.start} to {count - 1} cannot be decoded: {self._why}",) if lost else ()
        noted = (ALPHA_NOTE,) if self._has_alpha else ()
        return Health(decoded=self._decoded, expected=count, lost=lost, warnings=(*said, *noted))

    def _read_all(self) -> Iterator[Frame]:
        self._decoded, self._why = 0, ""
        try:
            for frame in self._read_some(range(self.info.frame_count)):
                self._decoded += 1
                yield frame
        except UnreadableImageError as error:
            self._why = error.why

    def _ticks(self) -> list[int]:
        return self._starts[:-1]

    def _read_some(self, indices: Iterable[int]) -> Iterator[Frame]:
        with opened_image(self._path) as image:
            for index in indices:
                image.seek(index)
                yield self._frame(image, index)

    def _frame(self, image: Image.Image, index: int) -> Frame:
        pixels = np.array(image.convert("RGBA" if image.has_transparency_data else "RGB"))
        picture = as_picture(pixels)
        return Frame(
            index=index,
            stem=f"{index:05d}",
            image=picture.image,
            pts=self._starts[index],
            time_base=_TIME_BASE,
            alpha=picture.alpha,
            bare=picture.bare,
        )


def _durations(content: bytes) -> list[int]:
    """Return the milliseconds for which each frame is shown, as the chunks say (RFC 9649, section 2.7.1.1)."""
    found, at = [], 12
    while at + 8 <= len(content):
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        if content[at : at + 4] == b"ANMF":
            found.append(int.from_bytes(content[at + 20 : at + 23], "little"))
        at += 8 + size + size % 2
    return found


def _packet_durations(path: Path) -> list[int]:
    """Return the milliseconds for which each frame of an AVIF is shown, as its table of samples says."""
    with open_container(path) as container:
        stream = picture_stream(container, path)
        base = stream.time_base or _TIME_BASE
        return [
            round((packet.duration or 0) * base / _TIME_BASE) for packet in packets_of(container, stream) if packet.size
        ]
