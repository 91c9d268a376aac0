"""Videos without an end: pipes, cameras and network streams, read and written a frame at a time.

Nothing is sought and nothing is known beforehand: not the length, and of raw pixels not even the size, which the user
must say. What `covos.media.video` guarantees of files, that no loss goes unnoticed, cannot be had here: damage on the
way is counted (`covos.media.live_damage`), but nothing tells if the end is the end.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Literal, Self, TypeAlias

import av
import numpy as np
from av.video.reformatter import ColorRange, VideoReformatter
from numpy.typing import NDArray

from covos.core.errors import EnvironmentProblem, SourceError, UsageError, one_of
from covos.core.limits import limits, raising
from covos.core.shown import short_repr
from covos.core.types import ImageArray
from covos.media.container import FORMATS, unreadable
from covos.media.displayed import PictureReader
from covos.media.live_clock import LiveClock
from covos.media.live_damage import LiveDamage, live_pictures
from covos.media.range import WHOLE, Range
from covos.media.stamps import longest_pause
from covos.media.tags import tag_picture, usual_colour

PIPE: Final = "-"
Pixels: TypeAlias = Literal["gray", "rgb24", "rgba"]
"""Pixels of what is written: H x W, H x W x 3, H x W x 4 uint8."""
_CODECS: Final[dict[str, dict[Pixels, tuple[str, str]]]] = {
    "rawvideo": {each: ("rawvideo", each) for each in ("gray", "rgb24", "rgba")},
    "y4m": {"gray": ("wrapped_avframe", "gray"), "rgb24": ("wrapped_avframe", "yuv444p")},
    "nut": {each: ("rawvideo", each) for each in ("gray", "rgb24", "rgba")},
    "matroska": {"gray": ("libx264", "gray"), "rgb24": ("libx264", "yuv420p"), "rgba": ("ffv1", "bgra")},
    "mpegts": {"gray": ("libx264", "gray"), "rgb24": ("libx264", "yuv420p")},
    "flv": {"rgb24": ("libx264", "yuv420p")},
    "v4l2": {"rgb24": ("rawvideo", "yuv420p")},
}
"""Codec and pixel format by container and pixels."""
_SUFFIXES: Final = {
    ".mkv": "matroska",
    ".ts": "mpegts",
    ".nut": "nut",
    ".y4m": "y4m",
    ".raw": "rawvideo",
    ".rgb": "rawvideo",
}
CONTAINERS: Final = tuple(_CODECS)


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
    """Reads a pipe, a camera or a network stream; a context manager, and an iterator over `LiveFrame`.

    Args:
        place: ``"-"`` for standard input, a device such as ``/dev/video0``, a URL, or a file.
        container: FFmpeg's name of the container or device, such as ``v4l2``, ``rawvideo``; None lets FFmpeg find out.
        size: (height, width) of raw pixels, or the size that a camera is asked for.
        pixels: Pixel format of raw pixels, in FFmpeg's words.
        frame_rate: Frames a second of raw pixels, or what a camera is asked for.
        newest: If true, frames that come while the last one is worked on are dropped, but for the newest.
        range: The part that is taken; all before it is read and left out.

    Attributes:
        name: What messages call it.
        dropped: Number of frames dropped so far.
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
                    fix=raising("pixels"),
                )
            options["video_size"] = f"{size[1]}x{size[0]}"
        if pixels is not None:
            options["pixel_format"] = pixels
        if frame_rate is not None:
            options["framerate"] = str(frame_rate)
        self.dropped, self.damage = 0, LiveDamage()
        self._place, self._newest, self._range = place, newest, range
        self.name = _named(place)
        file: str | IO[bytes] = sys.stdin.buffer if place == PIPE else place
        try:
            self._container = av.open(
                file,
                "r",
                format=container,
                options={**options, **_kept_to_itself(place, container)},
                metadata_errors="replace",
            )
        except (av.FFmpegError, OSError, ValueError) as error:
            if _is_file(place) and container is None and Path(place).stat().st_size:
                raise unreadable(Path(place), error) from error
            raise SourceError(f"{_named(place)} cannot be opened", why=_said(error), fix=_FIX) from error
        if not self._container.streams.video:
            self._container.close()
            raise SourceError(
                f"{_named(place)} has no pictures", why="no stream in it is a video", fix="check the source"
            )
        self._stream = self._container.streams.video[0]
        self.warnings: dict[str, None] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    @property
    def frame_rate(self) -> Fraction:
        """Frames a second that are taken, as the stream says; of 25 if it does not."""
        return self._own_rate / self._range.every

    @property
    def _own_rate(self) -> Fraction:
        rate = self._stream.average_rate or self._stream.guessed_rate
        return Fraction(rate) if rate else Fraction(25)

    def __iter__(self) -> Iterator[LiveFrame]:
        """Give the frames.

        Raises:
            SourceError: The stream breaks off with an error.
        """
        return self._latest() if self._newest else self._each()

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
                        f"{_named(self._place)}: frames of {picture.width}x{picture.height}",
                        why=f"they are larger than {limits().pixels} pixels",
                        fix=raising("pixels"),
                    )
                reader = reader or PictureReader(
                    _named(self._place), size=(picture.width, picture.height), warn=self._warn, uses_alpha=False
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
        except av.FFmpegError as error:
            fix = "begin it again"
            if self._container.format.name == "rawvideo":
                fix = "what is left is no whole frame: check --size and --pixels, or begin it again"
            raise SourceError(
                f"{_named(self._place)} broke off after {count} frames", why=_said(error), fix=fix
            ) from error

    def _latest(self) -> Iterator[LiveFrame]:
        """Read on a thread of its own, which never waits: a camera's own queue would only make what is seen older."""
        slot = _Slot()

        def read() -> None:
            try:
                for frame in self._each():
                    self.dropped += slot.put(frame)
            except BaseException as error:  # it is raised where the frames are taken
                slot.end(error)
            else:
                slot.end(None)

        threading.Thread(target=read, name="covos live", daemon=True).start()
        while (frame := slot.take()) is not None:
            yield frame

    def _warn(self, text: str) -> None:
        self.warnings.setdefault(text)


class _Slot:
    """Holds the newest frame."""

    def __init__(self) -> None:
        self._there = threading.Condition()
        self._frame: LiveFrame | None = None
        self._ended = False
        self._error: BaseException | None = None

    def put(self, frame: LiveFrame) -> bool:
        """Put a frame; tell if it takes the place of one that nobody took."""
        with self._there:
            dropped = self._frame is not None
            self._frame = frame
            self._there.notify()
        return dropped

    def end(self, error: BaseException | None) -> None:
        with self._there:
            self._ended, self._error = True, error
            self._there.notify()

    def take(self) -> LiveFrame | None:
        """Wait for a frame; None at the end."""
        with self._there:
            while self._frame is None and not self._ended:
                self._there.wait()
            frame, self._frame = self._frame, None
        if frame is None and self._error is not None:
            raise self._error
        return frame


class LiveSink:
    """Writes frames to a pipe, a device, a URL or a file, each as it comes; a context manager.

    Args:
        place: ``"-"`` for standard output, or what FFmpeg can write to.
        container: One of `CONTAINERS`; None takes that of the name's suffix, and for a pipe ``matroska``.
        pixels: What is written.
        size: (height, width).
        frame_rate: Frames a second, for containers that have no times.
        overwrite: If true, a file that is there is replaced.

    Attributes:
        size: As given.

    Raises:
        UsageError: The container is unknown or cannot hold these pixels, or the file exists.
        EnvironmentProblem: It cannot be written to.
    """

    def __init__(
        self,
        place: str,
        *,
        container: str | None,
        pixels: Pixels,
        size: tuple[int, int],
        frame_rate: Fraction,
        overwrite: bool = False,
    ) -> None:
        kind = container or container_of(place)
        codec, stored = codec_of(kind, pixels)
        path = Path(place)
        if place != PIPE and "://" not in place and path.is_symlink() and not path.is_char_device():
            raise UsageError(
                f"{place}: it is a link", why="what it leads to would be replaced", fix="give the file itself"
            )
        if place != PIPE and "://" not in place and path.is_file() and not overwrite:
            raise UsageError(
                f"{place}: the file exists", why="nothing is overwritten unasked", fix="give -y to replace it"
            )
        self._place, self._pixels, self._broken = place, pixels, False
        file: str | IO[bytes] = sys.stdout.buffer if place == PIPE else place
        self.size = height, width = size
        even = stored == "yuv420p"
        self._padding = (height % 2, width % 2) if even else (0, 0)
        try:
            muxer = "yuv4mpegpipe" if kind == "y4m" else kind
            self._container = av.open(file, "w", format=muxer, container_options={"flush_packets": "1"})
            stream: Any = self._container.add_stream(codec, rate=frame_rate)
            stream.height, stream.width = height + self._padding[0], width + self._padding[1]
            # A container without times has a rate, which it takes from the time base.
            self._steady = kind in ("rawvideo", "y4m")
            self._unit = 1 / frame_rate if self._steady else Fraction(1, 90000)
            stream.pix_fmt, stream.time_base = stored, self._unit
            self._stored, self._colour = stored, usual_colour(height, width)
            self._is_yuv, self._reformatter = stored.startswith("yuv"), VideoReformatter()
            context = stream.codec_context
            context.color_primaries, context.color_trc = self._colour.primaries, self._colour.transfer
            if self._is_yuv:
                context.colorspace, context.color_range = self._colour.matrix, ColorRange.MPEG
            if codec == "libx264":
                # Without a look ahead, each frame leaves the encoder before the next one comes.
                stream.options = {"preset": "veryfast", "tune": "zerolatency", "crf": "20"}
            self._stream = stream
        except (av.FFmpegError, OSError, ValueError) as error:
            raise self._problem(error) from error
        self._count = 0
        self._last = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, image: NDArray[np.uint8], *, seconds: Fraction) -> None:
        """Write a frame of the sink's pixels and size, at its time.

        Raises:
            BrokenPipeError: Whoever read the pipe is gone.
            EnvironmentProblem: The disk is full, or the place is gone.
        """
        if any(self._padding):
            image = np.pad(image, ((0, self._padding[0]), (0, self._padding[1]), *((0, 0),) * (image.ndim - 2)), "edge")
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format=self._pixels)
        if self._is_yuv:
            picture = self._reformatter.reformat(
                picture,
                format=self._stored,
                dst_colorspace=self._colour.matrix,
                dst_color_range=ColorRange.MPEG,
                threads=1,
            )
        tag_picture(picture, self._colour, is_yuv=self._is_yuv)
        when = self._count if self._steady else round(seconds / self._unit)
        self._last = max(when, self._last + 1)
        picture.pts, picture.time_base = self._last, self._unit
        self._count += 1
        self._mux(picture)

    def close(self) -> None:
        """Write what the encoder still has, and the end of the container."""
        if self._broken:
            return
        self._mux(None)
        try:
            self._container.close()
        except (av.FFmpegError, OSError) as error:
            raise self._problem(error) from error

    def _mux(self, picture: av.VideoFrame | None) -> None:
        try:
            if picture is None and not self._count:
                return
            self._container.mux(self._stream.encode(picture))
        except BrokenPipeError:
            self._broken = True
            raise
        except (av.FFmpegError, OSError) as error:
            self._broken = True
            raise self._problem(error) from error

    def _problem(self, error: BaseException) -> EnvironmentProblem:
        return EnvironmentProblem(
            f"{_named(self._place)} cannot be written", why=_said(error), fix="check place and space"
        )


def container_of(place: str) -> str:
    """Return the container that a name asks for.

    Raises:
        UsageError: It asks for none that can be written as it comes.
    """
    if place == PIPE:
        return "matroska"
    if place.startswith(("rtmp://", "rtmps://")):
        return "flv"
    if place.startswith(("udp://", "srt://", "tcp://")):
        return "mpegts"
    if place.startswith("/dev/video"):
        return "v4l2"
    suffix = Path(place).suffix.lower()
    if suffix not in _SUFFIXES:
        raise UsageError(
            f"{place}: no container is known for it",
            why="a live file has to be whole wherever it stops, and "
            + (f"{suffix} files are not" if suffix else "its name has no suffix that says what it is"),
            fix=f"use {', '.join(_SUFFIXES)}, or give --container",
        )
    return _SUFFIXES[suffix]


def codec_of(container: str, pixels: Pixels) -> tuple[str, str]:
    """Return codec and pixel format of these pixels in a container.

    Raises:
        UsageError: The container is unknown, or cannot hold them.
    """
    if container not in _CODECS:
        raise UsageError(
            f"unknown container {container!r}", why="no such one is written live", fix=f"use {', '.join(CONTAINERS)}"
        )
    if pixels not in _CODECS[container]:
        able = [name for name, codecs in _CODECS.items() if pixels in codecs]
        raise UsageError(
            f"{container} cannot hold {'alpha' if pixels == 'rgba' else 'grey pictures'}",
            why="its codec has no such pixels",
            fix=f"use {', '.join(able)}",
        )
    return _CODECS[container][pixels]


_USUAL: Final = ("rgb24", "bgr24", "rgba", "bgra", "gray", "yuv420p", "yuyv422", "nv12", "yuvj420p")


def _is_known(pixels: str) -> bool:
    try:
        av.VideoFormat(pixels)
    except ValueError:
        return False
    return True


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


def _stated(picture: av.VideoFrame) -> Fraction | None:
    return None if picture.pts is None or picture.time_base is None else picture.pts * picture.time_base


def _named(place: str) -> str:
    return "the pipe" if place == PIPE else place


def _said(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error)
