"""Videos without an end: pipes, cameras and network streams, read and written a frame at a time.

Nothing is sought and nothing is known beforehand: not the length, and of raw pixels not even the size, which the user
must say. No loss goes unnoticed in files (`covos.media.video`), but that cannot be had here: damage on the way is
counted (`covos.media.live_damage`), but nothing shows if the end is the end.

A source is read and decoded on a thread of its own, at most one frame ahead of who takes its frames.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import IO, Any, Final, Self

import av

from covos.core.errors import SourceError, UsageError, one_of
from covos.core.handed import HandedOver
from covos.core.limits import limits, raising
from covos.core.shown import short_repr
from covos.core.types import ImageArray
from covos.media.container import FORMATS, unreadable
from covos.media.displayed import PictureReader
from covos.media.images import kind_of
from covos.media.live_damage import LiveDamage, live_pictures
from covos.media.live_sink import PIPE, named, said
from covos.media.range import WHOLE, Range
from covos.media.stamps import longest_pause

_INTERVALS = 32
"""Intervals of which the usual one is found."""
_PATIENCE: Final = 0.5
"""Seconds that the end of a source waits for what is being read: a camera or a pipe may never give more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveFrame:
    """A frame of a live video.

    Attributes:
        image: H x W x 3 uint8 RGB.
        seconds: Time since the first frame that is taken, by the stream's clock; its jumps are closed.
        came: When it was there, by ``time.perf_counter``.
    """

    image: ImageArray
    seconds: Fraction
    came: float

    __repr__ = short_repr


class LiveSource:
    """Reads a pipe, a camera or a network stream; a context manager, inside which it gives each `LiveFrame`, once.

    Args:
        place: ``"-"`` for standard input, a device such as ``/dev/video0``, a URL, or a file.
        container: FFmpeg's name of the container or device, such as ``v4l2``, ``rawvideo``; None lets FFmpeg find out.
        size: (height, width) of raw pixels, or the size that a camera is asked for.
        pixels: Pixel format of raw pixels, in FFmpeg's words.
        frame_rate: Frames a second of raw pixels, or what a camera is asked for.
        newest: If true, frames that come while the last one is worked on are dropped, but for the newest. Else one
            frame waits, and no more is read.
        range: The part that is taken; all before it is read and left out.

    Attributes:
        name: What messages call it.
        frame_rate: Frames a second that are taken, as the stream says; of 25 if it does not.
        damage: Counts of what was lost or damaged so far.

    Raises:
        SourceError: It cannot be opened, or has no pictures.
        UsageError: Raw pixels without a size.
    """

    def __init__(
        self,
        place: str,
        *,
        container: str | None = None,
        size: tuple[int, int] | None = None,
        pixels: str | None = None,
        frame_rate: Fraction | None = None,
        newest: bool = False,
        range: Range = WHOLE,
    ) -> None:
        if container == "rawvideo":
            _refuse_unsaid({"--size 1280x720": size, "--pixels rgb24": pixels, "--rate 25": frame_rate})
        if pixels is not None and not _is_known(pixels):
            raise UsageError(
                f"unknown pixel format {pixels!r}", why="FFmpeg knows none of this name", fix=one_of(pixels, _USUAL)
            )
        options = {}
        if size is not None:
            if size[0] * size[1] > limits().pixels:
                raise UsageError(
                    f"frames of {size[1]}x{size[0]}",
                    why=f"they are larger than {limits().pixels} pixels",
                    fix=raising("pixels", size[0] * size[1]),
                )
            options["video_size"] = f"{size[1]}x{size[0]}"
        if pixels is not None:
            options["pixel_format"] = pixels
        if frame_rate is not None:
            options["framerate"] = str(frame_rate)
        range.refuse_timecodes("a live video states none")
        self.damage = LiveDamage()
        self._place, self._range = place, range
        self.name = named(place)
        file: str | IO[bytes] = _standard_input() if place == PIPE else place
        try:
            self._container = av.open(
                file,
                "r",
                format=container,
                options={**options, **_kept_to_itself(place, container)},
                metadata_errors="replace",
            )
        except (av.FFmpegError, OSError, ValueError) as error:
            raise _unopened(place, container, error) from error
        if not self._container.streams.video:
            self._container.close()
            raise SourceError(
                f"{named(place)} has no pictures", why="no stream in it is a video", fix="check the source"
            )
        self._stream = self._container.streams.video[0]
        decoder: Any = self._stream.codec_context
        if decoder is None:
            self._container.close()
            raise SourceError(
                f"{named(place)}: its video codec is not supported",
                why="this build of FFmpeg has no decoder for it",
                fix="send it as H.264, say",
            )
        self.warnings: dict[str, None] = {}
        stated = self._stream.average_rate or self._stream.guessed_rate
        self._own_rate = Fraction(stated) if stated else Fraction(25)
        self.frame_rate = self._own_rate / range.every
        self._frames = HandedOver(self._each(), name="covos live", newest=newest, patience=_PATIENCE)

    def __enter__(self) -> Self:
        self._frames.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._frames.__exit__(kind, error, trace)
        if not self._frames.at_work:  # else it reads still, and what it reads from must stay until the program ends
            self._container.close()

    @property
    def dropped(self) -> int:
        """Number of frames dropped so far."""
        return self._frames.dropped

    def __iter__(self) -> Iterator[LiveFrame]:
        """Give the frames.

        Raises:
            SourceError: The stream breaks off with an error.
        """
        return self._frames

    def _each(self) -> Iterator[LiveFrame]:
        reader: PictureReader | None = None
        clock = LiveClock(rate=self._own_rate, pause=Fraction(longest_pause(self._container)))
        first: tuple[int, Fraction] | None = None
        count = 0
        try:
            for picture in live_pictures(
                self._container, self._stream, damage=self.damage, from_start=_is_file(self._place)
            ):
                if picture.width * picture.height > limits().pixels:
                    raise SourceError(
                        f"{named(self._place)}: frames of {picture.width}x{picture.height}",
                        why=f"they are larger than {limits().pixels} pixels",
                        fix=raising("pixels", picture.width * picture.height),
                    )
                reader = reader or PictureReader(
                    named(self._place), size=(picture.width, picture.height), warn=self._warn, uses_alpha=False
                )
                number, seconds = count, clock.seconds(_stated(picture))
                count += 1
                side = self._range.side_of(number, seconds)
                if side == "behind":
                    return
                if side == "before":
                    continue
                first = first or (number, seconds)
                if (number - first[0]) % self._range.every == 0:
                    image = reader.read(picture).image
                    yield LiveFrame(image=image, seconds=seconds - first[1], came=time.perf_counter())
            if _is_file(self._place):
                self.damage.look_into(Path(self._place))
        except av.FFmpegError as error:
            fix = "begin it again"
            if self._container.format.name == "rawvideo":
                fix = "what is left is no whole frame: check --size and --pixels, or begin it again"
            raise SourceError(
                f"{named(self._place)} broke off after {count} frames", why=said(error), fix=fix
            ) from error

    def _warn(self, text: str) -> None:
        self.warnings.setdefault(text)


def _standard_input() -> IO[bytes]:
    """Return what standard input is read by: without a buffer, which would wait until it is full.

    Its lock would also be held by a thread that waits for more, and the interpreter cannot end as long as it is.
    """
    buffer: IO[bytes] = sys.stdin.buffer
    plain: IO[bytes] = getattr(buffer, "raw", buffer)
    return plain


_USUAL: Final = ("rgb24", "bgr24", "rgba", "bgra", "gray", "yuv420p", "yuyv422", "nv12", "yuvj420p")


def _is_known(pixels: str) -> bool:
    try:
        av.VideoFormat(pixels)
    except ValueError:
        return False
    return True


def refuse_missing(place: str, *, container: str | None) -> None:
    """Refuse a file that is not there, before anything is loaded for its frames.

    Args:
        place: As of `LiveSource`.
        container: As there: a name that is given with one may be no file.

    Raises:
        SourceError: There is none.
    """
    if container is None and place != PIPE and ":" not in place and not Path(place).exists():
        raise SourceError(f"{named(place)} cannot be opened", why="there is no such file", fix=_FIX)


def _is_file(place: str) -> bool:
    return place != PIPE and "://" not in place and Path(place).is_file()


def _kept_to_itself(place: str, container: str | None) -> dict[str, str]:
    """Keep what is not a camera and not an address from opening other files and hosts, as a playlist would."""
    if "://" in place or place.startswith("/dev/"):
        return {}
    own = {"format_whitelist": FORMATS if container is None else f"{FORMATS},{container}"}
    return own if place == PIPE else {**own, "protocol_whitelist": "file"}


def _refuse_unsaid(said: dict[str, object]) -> None:
    if unsaid := [option for option, value in said.items() if value is None]:
        raise UsageError(
            f"raw pixels without {unsaid[0].split()[0]}",
            why="they do not say their size, format and rate",
            fix=f"give {', '.join(unsaid)}, as they are",
        )


_FIX = "check the name; --input-format says what it is, such as v4l2, rawvideo or matroska"


def _unopened(place: str, container: str | None, error: Exception) -> SourceError:
    """Return the error of what cannot be opened, with the reason that is known."""
    if place == PIPE and isinstance(error, av.InvalidDataError | av.EOFError):
        why = "nothing came through it, or no video of a kind that is known by its beginning"
    elif isinstance(error, av.ArgumentError) and place == PIPE:
        why = "what comes is of a kind that is not read"
    elif "://" not in place and Path(place).is_dir():
        return SourceError(
            f"{place}: it is a folder", why="a stream is one video", fix="covos segment reads folders of pictures"
        )
    elif _is_file(place) and container is None and Path(place).stat().st_size:
        if kind_of(Path(place)) == "still":
            return SourceError(
                f"{place}: it is a single picture", why="a stream is a video", fix="covos segment reads pictures"
            )
        return unreadable(Path(place), error)
    else:
        why = said(error)
    return SourceError(f"{named(place)} cannot be opened", why=why, fix=_FIX)


def _stated(picture: av.VideoFrame) -> Fraction | None:
    return None if picture.pts is None or picture.time_base is None else picture.pts * picture.time_base


class LiveClock:
    """Turns the times that pictures state into times that rise, as they do in a file whose jumps are closed.

    A jump back, and one ahead by more than ``pause``, is closed: what follows goes on an interval after the picture
    before. So is a picture without a time. A jump ahead by less is a pause, and kept.

    Args:
        rate: Frames a second, as the stream says.
        pause: The longest pause in seconds.
    """

    def __init__(self, *, rate: Fraction, pause: Fraction) -> None:
        self._interval, self._pause = 1 / rate, pause
        self._steps: deque[Fraction] = deque(maxlen=_INTERVALS)
        self._shift: Fraction | None = None
        self._last, self._begun = Fraction(0), False

    def seconds(self, stated: Fraction | None) -> Fraction:
        """Return the time of the next picture since the first one.

        Args:
            stated: Its time in seconds by the stream's own clock; None if it has none.
        """
        begun, self._begun = self._begun, True
        if stated is not None and self._shift is not None:
            step = stated + self._shift - self._last
            if 0 < step <= self._pause:
                self._steps.append(step)
                self._last += step
                return self._last
        if begun:
            self._last += median(self._steps) if self._steps else self._interval
        if stated is not None:
            self._shift = self._last - stated
        return self._last
