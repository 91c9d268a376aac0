"""Decode all that can be decoded, and count what cannot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import av
from av.codec.context import ThreadType

from covos.media.container import open_container, packets_of, picture_stream
from covos.media.packets import is_shown

if TYPE_CHECKING:
    from collections.abc import Iterator
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
