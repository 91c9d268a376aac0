"""Write a live video to a pipe, a device, a URL or a file, a frame at a time; it is whole wherever it stops."""

from __future__ import annotations

import sys
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Literal, Self, TypeAlias

import av
import numpy as np
from av.video.reformatter import ColorRange, VideoReformatter
from numpy.typing import NDArray

from covos.core.errors import EnvironmentProblem, UsageError
from covos.core.interruptible import Interruptible
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
_ROUGH: Final = ("matroska", "flv")
_PATIENCE: Final = 5.0
"""Seconds that the end waits, after a signal, for whoever reads what is written."""


def refuse_file(place: str, *, overwrite: bool) -> None:
    """Refuse a file that is there, unless it may be replaced, and a link in any case.

    Raises:
        UsageError: The place is one of these.
    """
    path, is_name = Path(place), place != PIPE and "://" not in place
    if is_name and path.is_symlink() and not path.is_char_device():
        raise UsageError(f"{place}: it is a link", why="what it leads to would be replaced", fix="give the file itself")
    if is_name and path.is_file() and not overwrite:
        raise UsageError(f"{place}: the file exists", why="nothing is overwritten unasked", fix="give -y to replace it")


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
        refuse_file(place, overwrite=overwrite)
        self._place, self._pixels, self._broken = place, pixels, False
        file = _standard_output() if place == PIPE else place
        self.size = height, width = size
        even = stored == "yuv420p"
        self._padding = (height % 2, width % 2) if even else (0, 0)
        try:
            muxer = "yuv4mpegpipe" if kind == "y4m" else kind
            options = {"flush_packets": "1"}
            if kind == "matroska":
                # Of a cluster nothing is written before the next one begins. By default one holds a second and more.
                options["cluster_time_limit"] = "0"
            self._container = av.open(file, "w", format=muxer, container_options=options)
            stream: Any = self._container.add_stream(codec, rate=frame_rate)
            stream.height, stream.width = height + self._padding[0], width + self._padding[1]
            # A container without times has a rate, which it takes from the time base.
            self._steady = kind in ("rawvideo", "y4m")
            # Matroska and FLV round times to milliseconds: two of them must not become one.
            self._unit = 1 / frame_rate if self._steady else Fraction(1, 1000 if kind in _ROUGH else 90000)
            stream.pix_fmt, stream.time_base = stored, self._unit
            self._stored, self._colour = stored, usual_colour(height, width)
            self._is_yuv, self._reformatter = stored.startswith("yuv"), VideoReformatter()
            context = stream.codec_context
            context.time_base = self._unit  # else the encoder rounds times to whole intervals of the rate
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
        self._thread = Interruptible(name="covos write", patience=_PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, image: NDArray[np.uint8], *, seconds: Fraction) -> None:
        """Write a frame of the sink's pixels and size, at its time.

        A signal that comes while the place takes nothing is raised at once, also if a part of the frame is written.
        `close` is what may follow then.

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
        self._thread.call(partial(self._mux, picture))

    def close(self) -> None:
        """Write what the encoder still has, and the end of the container.

        After a signal whoever reads has five seconds for it, and for the rest of the frame that was being written. Then
        the output is left as it is.

        Raises:
            BrokenPipeError: Whoever read the pipe is gone.
            EnvironmentProblem: The disk is full, or the place is gone.
        """
        self._thread.end(self._finish)

    def _finish(self) -> None:
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
            f"{named(self._place)} cannot be written", why=said(error), fix="check place and space"
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
            f"unknown container {container!r}",
            why="it is not written live",
            fix=f"use {', '.join(CONTAINERS)}",
        )
    if pixels not in _CODECS[container]:
        able = [name for name, codecs in _CODECS.items() if pixels in codecs]
        raise UsageError(
            f"{container} cannot hold {'alpha' if pixels == 'rgba' else 'grey pictures'}",
            why="its codec has no such pixels",
            fix=f"use {', '.join(able)}",
        )
    return _CODECS[container][pixels]


def named(place: str) -> str:
    """Return how messages call a place."""
    return "the pipe" if place == PIPE else place


def said(error: BaseException) -> str:
    """Return the reason of an error, in a line."""
    return getattr(error, "strerror", None) or str(error)


def _standard_output() -> str | IO[bytes]:
    """Return what writes to standard output.

    Of a pipe it is the address at which FFmpeg writes itself, so that nothing waits in a buffer of Python's. A file may
    be sought in, and has its buffer.
    """
    output: IO[bytes] = sys.stdout.buffer
    return output if output.seekable() else f"pipe:{output.fileno()}"
