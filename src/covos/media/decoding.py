"""Decode all that can be decoded, and count what cannot."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import av
from av.codec.context import ThreadType

from covos.media.container import open_container, packets_of, picture_stream
from covos.media.packets import is_shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream


@dataclass(slots=True)
class Tally:
    """What one pass has seen so far."""

    packets: int = 0
    pictures: int = 0
    undecodable: int = 0


def decode_file(path: Path, *, tally: Tally) -> Iterator[VideoFrame]:
    """Yield every picture that the file's video stream gives, in presentation order.

    Pictures in flight are lost when a decoder with frame threads meets damage near the end of the stream:
    PyAV cannot go on draining it after an error. If fewer pictures came out than packets went in, the rest is
    decoded once more on a single thread, at the cost of a second pass over a damaged file.

    Args:
        path: A video.
        tally: Filled in as the pass goes.

    Raises:
        SourceError: The file cannot be opened.
    """
    last: int | None = None
    for picture in _decode(path, tally=tally, threads=0):
        last = _moment(picture)
        yield picture
    if last is None or tally.pictures >= tally.packets:
        return
    retry = Tally()
    for picture in _decode(path, tally=retry, threads=1):
        moment = _moment(picture)
        if moment is not None and moment > last:
            tally.pictures += 1
            yield picture
    tally.undecodable = retry.undecodable


def _moment(picture: VideoFrame) -> int | None:
    return picture.pts if picture.pts is not None else picture.dts


def _decode(path: Path, *, tally: Tally, threads: int) -> Iterator[VideoFrame]:
    with open_container(path) as container:
        stream = picture_stream(container, path)
        if threads:
            stream.codec_context.thread_count = threads
            stream.codec_context.thread_type = ThreadType.NONE
        codec = stream.codec_context.name
        for packet in packets_of(container, stream):
            tally.packets += is_shown(packet, codec=codec)
            for picture in decode_packet(stream, packet, tally=tally):
                tally.pictures += 1
                yield picture
        # The decoder holds back pictures that it reorders; without this the last ones are lost.
        for picture in decode_packet(stream, None, tally=tally):
            tally.pictures += 1
            yield picture


def decode_packet(stream: VideoStream, packet: Packet[VideoStream] | None, *, tally: Tally) -> list[VideoFrame]:
    """Decode one packet, None to drain the decoder; damage is counted, not raised."""
    try:
        return stream.decode(packet)
    except (av.FFmpegError, ValueError):
        tally.undecodable += 1
        return []


# Strictly increasing presentation times, whatever the container states.


class Timeline:
    """Gives each picture of one pass its presentation time.

    Stated times are kept as they are. Where a picture has none, its decoding time is used, and failing that
    the frame rate. A time that does not advance becomes the previous one plus one unit; a jump back of more
    than a second, as where two recordings were joined, moves all that follows.
    """

    def __init__(
        self,
        *,
        time_base: Fraction,
        frame_rate: Fraction,
        first_dts: int | None,
        has_pts: bool,
        warn: Callable[[str], None],
    ) -> None:
        self._step = 1 / (frame_rate * time_base)
        self._second = 1 / time_base
        self._first_dts = first_dts
        self._has_pts = has_pts
        self._warn = warn
        self._last: int | None = None
        self._shift = 0
        self._lead: int | None = None
        self._anchor = Fraction(first_dts or 0)
        self._since_anchor = 0

    def at(self, picture: VideoFrame) -> int:
        """The presentation time of the next picture, above that of the one before."""
        stated = self._stated(picture)
        if stated is None:
            # Counted from an anchor, so that a frame rate of 29.97 does not drift by rounding.
            self._since_anchor += self._last is not None
            time = round(self._anchor + self._since_anchor * self._step)
        else:
            time = stated + self._shift
        if self._last is not None and time <= self._last:
            self._warn("some frames do not advance in time: their presentation times are moved forward")
            if stated is not None and self._last - time > self._second:
                self._shift += self._last + max(1, round(self._step)) - time
                time = stated + self._shift
            else:
                time = self._last + 1
        if stated is not None:
            self._anchor, self._since_anchor = Fraction(time), 0
        self._last = time
        return time

    def _stated(self, picture: VideoFrame) -> int | None:
        if picture.pts is not None:
            return picture.pts
        if self._has_pts:
            self._warn("some frames have no presentation time: it is filled in from the frame rate")
            return None
        if self._first_dts is None:
            self._warn("the file states no times: they are made from the frame rate")
            return None
        # AVI states decoding times only. A picture comes out as many packets late as the codec reorders; the
        # first one's delay tells how many.
        if picture.dts is None:
            return None
        if self._lead is None:
            self._lead = picture.dts - self._first_dts
        return picture.dts - self._lead
