"""Backgrounds that take the place of the source's: a colour, a picture, or a video that is shown in a loop."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor
from pydantic import ConfigDict, model_validator

from covos.core.errors import SourceError, UsageError
from covos.core.guarded import is_there
from covos.core.records import Record
from covos.core.types import Frame
from covos.formats.carriers import CARRIERS, CarrierName, carrier_in
from covos.formats.compose import deep_picture
from covos.formats.composition import (
    BEGINNING,
    PLAIN_ALPHA,
    background_part,
    of_background,
    refuse_inverted,
    split_options,
)
from covos.formats.videos import VideoFormat
from covos.masks.edges import Length, in_pixels
from covos.media.opening import open_source
from covos.media.range import Place, read_seconds
from covos.media.source import Source
from covos.media.tones import transfer_of

WHITE: Final = "#ffffff"
BLUR: Final = "blur"
_CODE = re.compile(r"#([0-9a-fA-F]{3}){1,2}")


class Backdrop(Record):
    """The value of the format ``background``: what lies there, its part, and how the subject is set before it.

    Attributes:
        what: A colour by its code or its name, ``"blur"`` with or without a radius, or a path.
        start: Place at which a video begins, see `covos.media.range.Range`.
        end: Place at which it begins again; None for its end.
        wrap: Length over which its light wraps around the subject.
        shadow: True if the subject's shadow falls on it.
        carrier: The way in which it is written, in place of H.264.
        invert: True if it takes the place of the subject, and all else stays.
        plain: True if alpha is that without a matte.
    """

    model_config = ConfigDict(extra="forbid")

    what: str = WHITE
    start: Place = BEGINNING
    end: Place | None = None
    wrap: Length = "0"
    shadow: bool = False
    carrier: CarrierName | None = None
    invert: bool = False
    plain: bool = False

    @model_validator(mode="after")
    def _range(self) -> Self:
        background_part(self.start, self.end)
        refuse_inverted(self.invert, shadow=self.shadow)
        return self

    @classmethod
    def parse(cls, value: str) -> Backdrop:
        """Read ``beach.mp4,start=2,wrap=1%,shadow``."""
        main, options = cls.split(value)
        carrier, others = carrier_in(options)
        return cls(what=main or WHITE, carrier=carrier, **others)  # type: ignore[arg-type]

    @staticmethod
    def split(value: str) -> tuple[str, dict[str, str]]:
        """Split a value as of `parse` into what lies there and the options."""
        return split_options(
            value,
            known=("start", "end", "wrap", *VideoFormat.keyed),
            flags=("shadow", "invert", PLAIN_ALPHA, *CARRIERS),
            whole=lambda name: is_there(Path(name)),
        )

    @property
    def colour(self) -> str | None:
        """The colour as ``#rrggbb``, if it is one: a code, or a name of CSS. A file of that name goes before."""
        text = self.what.lower()
        if not (_CODE.fullmatch(text) or text in ImageColor.colormap) or is_there(Path(self.what)):
            return None
        red, green, blue = ImageColor.getrgb(text)[:3]
        return f"#{red:02x}{green:02x}{blue:02x}"

    @property
    def blur(self) -> str | None:
        """The radius, if the source is put out of focus; ``""`` for the usual one."""
        name, _, radius = self.what.partition(":")
        return radius if name == BLUR else None

    @property
    def file(self) -> Path | None:
        """The video, picture or folder, if it is one."""
        return Path(self.what) if self.colour is None and self.blur is None else None

    def check(self) -> None:
        """Refuse a backdrop that cannot be shown, before any work is done.

        Raises:
            UsageError: It is no colour, its file is not there, or its part lies beyond its end.
            SourceError: The file cannot be read.
        """
        if self.blur is not None:
            Blurred.parse(self.blur)
        if self.file is None:
            self._refuse_part("it has no time")
            return
        if not is_there(self.file):
            code = self.what.startswith("#")
            near = difflib.get_close_matches(self.what.lower(), (*CARRIERS, BLUR, *ImageColor.colormap), n=1)
            raise UsageError(
                f"background {self.what} cannot be used",
                why="a colour is # and three or six hexadecimal digits" if code else "there is no such file or colour",
                fix=(f"did you mean {near[0]}? " if near else "")
                + "name a picture, a video or a folder of pictures, blur, or a colour such as white or #00b140",
            )
        if _times(self.what, self.start, self.end, self.file.stat().st_mtime_ns) is None:
            self._refuse_part("it is one picture, which is shown all the time")

    def times(self, source: Source) -> tuple[Fraction, Fraction | None]:
        """Return the seconds after its first frame at which it begins, and at which it begins again.

        Args:
            source: The file, opened.

        Raises:
            UsageError: A place lies beyond its end, or there is nothing between them.
        """
        part = background_part(self.start, self.end)
        if not part:
            return Fraction(0), None
        with of_background():
            frames = part.frames(source)
        # A moment between two frames stays what it is.
        start, end = (None if place is None else read_seconds(place) for place in (self.start, self.end))
        if self.end is not None and end is None:
            end = source.time_of(frames.stop)
        return source.time_of(frames.start) if start is None else start, end

    def _refuse_part(self, why: str) -> None:
        """Refuse a start or an end of what has none, and say why."""
        if background_part(self.start, self.end):
            what = f"background-start or background-end of {self.what}"
            raise UsageError(what, why=why, fix="leave start and end out")


class Blurred(Record):
    """The source out of focus.

    Attributes:
        radius: Of the disc that a point becomes.
        wrap: Length of light that wraps around the subject.
        carrier: The way in which it is written, in place of H.264.
        invert: True if it takes the place of the subject, and all else stays.
        plain: True if alpha is that without a matte.
    """

    radius: Length = "5%"
    wrap: Length = "0"
    carrier: CarrierName | None = None
    invert: bool = False
    plain: bool = False

    @classmethod
    def parse(cls, value: str | None) -> Blurred:
        """Read ``2%,wrap=1%``."""
        main, options = cls.split(value or "")
        carrier, others = carrier_in(options)
        found = cls(**({"radius": main} if main else {}), carrier=carrier, **others)  # type: ignore[arg-type]
        if not in_pixels(found.radius, 1.0):
            raise UsageError(f"blur={value}", why="it has no radius", fix="write blur, or blur=2%")
        return found

    @staticmethod
    def split(value: str) -> tuple[str, dict[str, str]]:
        """Split a value as of `parse` into the radius and the options."""
        return split_options(value, known=("wrap", *VideoFormat.keyed), flags=("invert", PLAIN_ALPHA, *CARRIERS))


@lru_cache(maxsize=8)
def _times(path: str, start: str, end: str | None, modified: int) -> tuple[Fraction, Fraction | None] | None:
    """Return `Backdrop.times` of a file as it was at a time; None of a single picture.

    Names are checked several times on the way to the first frame; opening reads all packets of a video.
    """
    with open_source(path) as source:
        return Backdrop(what=path, start=start, end=end).times(source) if source.info.frame_count > 1 else None


class Plain:
    """A colour."""

    warnings: tuple[str, ...] = ()

    def __init__(self, colour: str, *, size: tuple[int, int], deep: bool) -> None:
        levels: NDArray[Any] = np.frombuffer(bytes.fromhex(colour[1:]), np.uint8)
        self._image: NDArray[Any] = np.full((*size, 3), levels.astype(np.uint16) * 257 if deep else levels)

    def at(self, time: Fraction) -> NDArray[Any]:
        """Return the picture at a time; it is the same at all times."""
        return self._image


class Clip:
    """A video, a picture or a folder of pictures, scaled to fill the frame and cut where it does not fit.

    At each time the frame is shown that it has at that time, whatever its frame rate. At its end it begins again.
    Two frames are held, however long it is. If it cannot be read on, the last good frame stays.

    Args:
        backdrop: Says which file, and which part of it.
        size: (height, width) of the pictures to make.
        pixel_aspect: Of these.
        deep: If true, they are uint16 with all bits that the file has, else uint8.
    """

    def __init__(self, backdrop: Backdrop, *, size: tuple[int, int], pixel_aspect: Fraction, deep: bool) -> None:
        self._name = backdrop.what
        self._size, self._aspect, self._deep = size, pixel_aspect, deep
        self._source: Source = open_source(self._name)
        self._start, self._end = backdrop.times(self._source)
        self._zero: Fraction | None = None  # its own time of its first frame
        # Index of the frame that is shown at the start: the first behind it may be later.
        self._first = max(0, self._source.index_at(self._start) - 1) if self._start else 0
        self._began = Fraction(0)  # time of the output at which this turn began
        self._stopped: str | None = None
        self._reached = Fraction(0)
        self._shown: tuple[int, NDArray[Any]] | None = None
        self._frames = self._turn(again=False)
        self._now: Frame | None = None
        self._next = self._read()

    @property
    def warnings(self) -> tuple[str, ...]:
        """The fault that was found, and the tones that were lost, in plain words."""
        stopped = () if self._stopped is None else (f"{self._stopped}: its last good frame stays",)
        return tuple(f"{self._name}: {text}" for text in (*self._source.health.warnings, *self._toned, *stopped))

    @property
    def _toned(self) -> tuple[str, ...]:
        own = self._source.info.tags.hdr
        tones = None if own is None else transfer_of(transfer=own.transfer, primaries=own.primaries)
        if tones is None or self._source.info.codec == "exr":
            return ()
        if tones[0] == "SDR":
            return ("it has the colours of BT.2020: they are brought to those of BT.709",)
        return (f"it is HDR ({tones[0]}): it is tone-mapped, of ordinary range",)

    def at(self, time: Fraction) -> NDArray[Any]:
        """Return the picture at a time in seconds, H x W x 3 RGB; times never fall."""
        while self._stopped is None:
            wanted = time - self._began + self._start
            following = self._next
            if following is None or (self._end is not None and self._time(following) >= self._end):
                if not self._begin_again(wanted):
                    break
            elif self._now is None or self._time(following) <= wanted:
                self._now = following
                self._reached = self._time(following)
                if self._reached <= self._start:
                    self._first = following.index
                self._next = self._read()
            else:
                break
        assert self._now is not None, "a source has a frame"
        if self._shown is None or self._shown[0] != self._now.index:
            self._shown = self._now.index, self._filling(self._now)
        return self._shown[1]

    def _begin_again(self, wanted: Fraction) -> bool:
        """Start the next turn, if its time has come."""
        info = self._source.info
        length = self._reached + 1 / Fraction(info.frame_rate or 25) - self._start
        if self._end is not None:
            length = min(length, self._end - self._start)
        if info.frame_count <= 1 or length <= 0 or wanted < self._start + length:
            return False
        self._began += length * ((wanted - self._start) // length)
        try:
            self._frames = self._turn(again=True)
        except SourceError as error:
            self._stopped = error.what
            return False
        self._next = self._read()
        self._now = None if self._next is not None else self._now
        return self._next is not None

    def _turn(self, *, again: bool) -> Iterator[Frame]:
        """Begin to read at the start, without what lies before; damage is noted in the first turn."""
        if not self._first:
            return iter(self._source)
        rest = range(self._first, self._source.info.frame_count)
        return self._source.select(rest) if again else self._source.part(rest)

    def _read(self) -> Frame | None:
        try:
            frame = next(self._frames, None)
        except (SourceError, OSError) as error:
            if self._now is None:
                raise
            self._stopped = error.what if isinstance(error, SourceError) else str(error)
            return None
        if frame is not None and self._zero is None:
            before = self._source.time_of(frame.index) if frame.index else 0
            self._zero = frame.pts * frame.time_base - before
        return frame

    def _time(self, frame: Frame) -> Fraction:
        assert self._zero is not None, "a frame was read"
        return frame.pts * frame.time_base - self._zero

    def _filling(self, frame: Frame) -> NDArray[Any]:
        image, size = deep_picture(frame) if self._deep else frame.image, self._size
        height, width = image.shape[:2]
        shape = float(size[1] * self._aspect / size[0] / self._source.info.pixel_aspect)
        kept_width, kept_height = min(width, max(1, round(height * shape))), min(height, max(1, round(width / shape)))
        top, left = (height - kept_height) // 2, (width - kept_width) // 2
        part = image[top : top + kept_height, left : left + kept_width]
        interpolation = cv2.INTER_AREA if kept_height > size[0] else cv2.INTER_CUBIC
        return np.asarray(cv2.resize(part, (size[1], size[0]), interpolation=interpolation))
