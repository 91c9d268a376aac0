"""Decode a video file: from its start, all that can be decoded, or by jumping to single frames."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import av
from av.codec.context import ThreadType

from covos.media.container import open_container, packets_of, picture_stream
from covos.media.packets import is_shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from covos.media.packets import SeekTable


@dataclass(slots=True)
class Tally:
    """Counts of one pass so far."""

    packets: int = 0
    pictures: int = 0
    undecodable: int = 0


def decode_file(path: Path, *, tally: Tally) -> Iterator[VideoFrame]:
    """Yield every picture that the file's video stream gives, in presentation order.

    Pictures in flight are lost when a decoder with frame threads meets damage near the end of the stream:
    PyAV cannot go on draining it after an error. If fewer pictures came out than packets went in, the rest is
    decoded once more on a single thread, at the cost of a second pass over a damaged file. ``tally`` counts along.
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
        for packet in _packets_and_end(container, stream):
            tally.packets += packet is not None and is_shown(packet, codec=codec)
            for picture in _decode_packet(stream, packet, tally=tally):
                tally.pictures += 1
                yield picture


def _packets_and_end(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream] | None]:
    """Yield the packets to come, then None: without it the decoder keeps the last pictures, which it reorders."""
    yield from packets_of(container, stream)
    yield None


def _decode_packet(stream: VideoStream, packet: Packet[VideoStream] | None, *, tally: Tally) -> list[VideoFrame]:
    """Decode one packet, None to drain the decoder; damage is counted, not raised."""
    try:
        return stream.decode(packet)
    except (av.FFmpegError, ValueError):
        tally.undecodable += 1
        return []


class Cursor:
    """Walks forward through a video's pictures, skipping ahead to the key packets of a table.

    A step checks that the packet seeked to and each picture's time are those of the table. At the first
    difference, decoding error or damaged picture it gives up, since only a full pass can then tell which
    picture has which index.
    """

    def __init__(self, container: InputContainer, stream: VideoStream, *, table: SeekTable) -> None:
        self._container = container
        self._stream = stream
        self._packets = _packets_and_end(container, stream)
        self._pts = table.pts
        self._keys = table.is_key.nonzero()[0]
        self._seek_to = table.seek_to
        self._next = 0  # index of the next picture to come out
        self._ready: deque[VideoFrame] = deque()
        self._tally = Tally()

    def move_to(self, index: int) -> VideoFrame | None:
        """Decode on to the picture of a higher index than before; None if the file differs from its table."""
        before = self._keys.searchsorted(index, side="right")
        key = int(self._keys[before - 1]) if before else 0
        if key > self._next and not self._jump(key):
            return None
        while (picture := self._decode()) is not None:
            # Pictures before the key's time refer to what came before it, and are broken after a jump.
            if picture.pts is not None and picture.pts < self._pts[self._next]:
                continue
            if picture.pts != self._pts[self._next] or picture.is_corrupt:
                return None
            self._next += 1
            if self._next > index:
                return picture
        return None

    def _jump(self, key: int) -> bool:
        depth = self._stream.codec_context.reorder_depth
        try:
            self._container.seek(int(self._seek_to[key]), stream=self._stream)
        except av.FFmpegError:
            return False
        # Flushing resets the depth that the decoder has learnt, which would drop or misorder pictures.
        self._stream.codec_context.reorder_depth = depth
        self._ready.clear()
        self._packets = _packets_and_end(self._container, self._stream)
        for packet in self._packets:
            if packet is None or (packet.dts is not None and packet.dts > self._pts[key]):
                return False
            if packet.pts == self._pts[key] and packet.is_keyframe:
                self._next = key
                self._ready.extend(_decode_packet(self._stream, packet, tally=self._tally))
                return True
        return False

    def _decode(self) -> VideoFrame | None:
        if not self._ready:
            for packet in self._packets:
                self._ready.extend(_decode_packet(self._stream, packet, tally=self._tally))
                if self._tally.undecodable:
                    return None
                if self._ready:
                    break
        return self._ready.popleft() if self._ready else None
