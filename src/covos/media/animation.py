"""Animated pictures that Pillow reads as a source of frames: WebP, AVIF with alpha, and APNG with a hole.

FFmpeg reads no WebP, gives the alpha of an AVIF as another video, and ends at a hole in an APNG. Pillow does not say
the times of all frames beforehand.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import numpy as np
from PIL import Image

from covos.core.errors import SourceError
from covos.core.guarded import read_guarded
from covos.core.types import Frame, SourceInfo
from covos.media.apng import read_torn
from covos.media.container import open_container, packets_of, picture_stream
from covos.media.damage import damage_in_words
from covos.media.images import UnreadableImageError, opened_image
from covos.media.missing import spans
from covos.media.picture import ALPHA_NOTE, as_picture
from covos.media.source import Health, MissingFrame, Source, check_frames
from covos.media.webp import is_animated_webp, read_frames

_TIME_BASE = Fraction(1, 1000)
_QUICKEST, _USUAL = 10, 100
"""Milliseconds: a frame that is shown for the first or less is shown for the second, as in browsers."""


class AnimatedSource(Source):
    """An animated WebP or AVIF, or an APNG with a hole; see ``open_source``.

    Frames are whole pictures, composed as the file says.
    """

    def __init__(self, path: Path, *, name: str) -> None:
        self._path, self._name = path, name
        self.files = (path,)
        self._decoded = 0
        self._why = ""  # what ended the latest full pass early
        content = self._content()
        is_webp, self._kept = is_animated_webp(content[:64]), tuple[int, ...]()
        self._is_mended = not is_webp
        self._whole = read_frames(content, name=name) if is_webp else read_torn(content)
        try:
            count, (width, height), codec = self._header()
        except UnreadableImageError:
            if not self._mend():
                raise
            count, (width, height), codec = self._header()
        stated = _packet_durations(path) if self._whole is None else self._whole.durations
        shown = [each if each > _QUICKEST else _USUAL for each in stated]
        check_frames(name, count)
        self._kept = tuple(range(len(shown))) if self._whole is None else self._whole.kept
        if len(self._kept) != count:
            raise UnreadableImageError(
                f"{path}: the animation cannot be read",
                why=f"it holds {count} frames, and times of {len(self._kept)}",
                fix="write it again",
            )
        self._starts = list(accumulate(shown, initial=0))
        self.info = SourceInfo(
            path=name,
            kind="video",
            height=height,
            width=width,
            frame_count=count,
            frame_rate=Fraction(1000 * len(shown), self._starts[-1]),
            duration=self._starts[-1] / 1000,
            time_base=_TIME_BASE,
            codec=codec,
        )
        self._has_alpha = next(self._read_some((0,))).alpha is not None

    def _header(self) -> tuple[int, tuple[int, int], str]:
        """Return the number of frames, (width, height) and the format; the first frame is decoded."""
        with self._opened() as image:
            image.load()
            return int(getattr(image, "n_frames", 1)) - self._hidden, image.size, (image.format or "").lower()

    @property
    def _hidden(self) -> int:
        return 0 if self._whole is None else self._whole.hidden

    def _content(self) -> bytes:
        what = f"{self._path}: the image cannot be read"
        return read_guarded(self._path, what=what, fix="write it again", error=SourceError)

    def _mend(self) -> bool:
        """Leave out the frames of a WebP that cannot be decoded; those before them keep their numbers.

        False if that was done before, or no frame is whole.
        """
        if self._whole is None or self._is_mended:
            return False
        mended, self._is_mended = read_frames(self._content(), name=self._name, doubted=True), True
        if mended.kept:
            self._whole, self._kept = mended, mended.kept
        return bool(mended.kept)

    def _opened(self) -> AbstractContextManager[Image.Image]:
        return opened_image(self._path, content=None if self._whole is None else self._whole.content)

    @property
    def health(self) -> Health:
        """See ``Source.health``."""
        count, given = len(self._kept), self._decoded
        gone = sorted(set(range(len(self._starts) - 1)).difference(self._kept)) if given or self._why else []
        lost = [
            MissingFrame(after=bisect_left(self._kept, each) - 1, pts=self._starts[each], why="it is damaged")
            for each in gone
        ]
        if self._why:
            lost += [
                MissingFrame(after=given - 1, pts=self._starts[each], why=self._why) for each in self._kept[given:]
            ]
        patched = frozenset() if self._whole is None else self._whole.patched
        health = Health(
            decoded=given,
            expected=count + len(gone),
            concealed=tuple(index for index, each in enumerate(self._kept[:given]) if each in patched),
            at_least=not (self._whole is None or self._whole.is_counted),
            lost=tuple(sorted(lost, key=lambda each: (each.after, each.pts))),
        )
        ended = (f"frames {given} to {count - 1} cannot be decoded: {self._why}",) if self._why else ()
        alpha = (ALPHA_NOTE,) if self._has_alpha else ()
        return replace(health, warnings=(*ended, *self.damage_in_words(health), *alpha))

    def damage_in_words(self, health: Health) -> tuple[str, ...]:
        """See `Source.damage_in_words`."""

        def shown(times: Sequence[int]) -> str:
            return spans(times, time_base=_TIME_BASE, frame_rate=self.info.whole_rate or Fraction(1))

        return damage_in_words(health, time_of=self._ticks().__getitem__, shown=shown, ends=True)

    def _read_all(self) -> Iterator[Frame]:
        self._decoded, self._why = 0, ""
        try:
            for frame in self._read_some(range(self.info.frame_count)):
                self._decoded += 1
                yield frame
        except UnreadableImageError as error:
            self._why = error.why

    def _ticks(self) -> list[int]:
        return [self._starts[each] for each in self._kept]

    def _last_duration(self) -> int:
        last = self._kept[-1]
        return self._starts[last + 1] - self._starts[last]

    def _read_some(self, indices: Iterable[int]) -> Iterator[Frame]:
        left = deque(indices)
        while left:
            taken = self._whole
            try:
                with self._opened() as image:
                    while left and left[0] < len(self._kept):
                        image.seek(left[0] + self._hidden)
                        frame = self._frame(image, left[0])
                        left.popleft()
                        yield frame
                return
            except UnreadableImageError:
                if self._whole is taken and not self._mend():  # another pass may have done so
                    raise

    def _frame(self, image: Image.Image, index: int) -> Frame:
        pixels = np.array(image.convert("RGBA" if image.has_transparency_data else "RGB"))
        picture, number = as_picture(pixels), self._kept[index]
        return Frame(
            index=index,
            stem=f"{index:05d}",
            image=picture.image,
            pts=self._starts[number],
            time_base=_TIME_BASE,
            status="concealed" if self._whole is not None and number in self._whole.patched else "ok",
            alpha=picture.alpha,
            bare=picture.bare,
            duration=self._last_duration() if index == len(self._kept) - 1 else None,
        )


def _packet_durations(path: Path) -> list[int]:
    """Return the milliseconds for which each frame of an AVIF is shown, as its table of samples says."""
    with open_container(path) as container:
        stream = picture_stream(container, path)
        base = stream.time_base or _TIME_BASE
        return [
            round((packet.duration or 0) * base / _TIME_BASE) for packet in packets_of(container, stream) if packet.size
        ]
