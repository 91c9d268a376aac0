"""Decode a video file, from its start or by jumping to single frames."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import av
from av.codec.context import ThreadType

from covos.core.memory import refuse_shortage
from covos.media.container import decoder_of, is_shown, open_container, packets_of, picture_stream
from covos.media.tags import StatedColours

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from av.container import InputContainer
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from covos.media.packets import SeekTable


@dataclass(slots=True)
class Tally:
    """Counts of one pass so far: packets that should give a picture, pictures, and packets that gave nothing.

    ``refused`` are the numbers of the packets that a strict decoder does not take.
    """

    packets: int = 0
    pictures: int = 0
    undecodable: int = 0
    refused: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decoded:
    """A picture, with the number of the packet that it is of, -1 where that is not known."""

    picture: VideoFrame
    packet: int
    is_damaged: bool = False


def decode_file(path: Path, *, tally: Tally) -> Iterator[Decoded]:
    """Yield every picture that the file's video stream gives, in presentation order; ``tally`` counts along.

    The decoder is strict, and an intact file is decoded once. At the first packet that it refuses, or if fewer pictures
    come out than packets go in, the file is read again from its start by two decoders on one thread each. One gives all
    it can, and one is strict, which shows the pictures that the other has painted over. One thread, because pictures in
    flight are lost when a decoder with frame threads meets damage near the end of the stream: PyAV cannot go on
    draining it after an error.
    """
    given = 0
    damaged = False
    for each in _decode_strictly(path, tally=tally):
        if each is None:
            damaged = True
            break
        given += 1
        yield each
    if not damaged and tally.pictures >= tally.packets:
        return
    again = Tally()
    for number, each in enumerate(_decode_damaged(path, tally=again)):
        if number >= given:
            tally.pictures += 1
            yield each
    tally.packets, tally.undecodable, tally.refused = again.packets, again.undecodable, again.refused


def _decode_strictly(path: Path, *, tally: Tally) -> Iterator[Decoded | None]:
    """Yield pictures up to the first sign of damage, and then None."""
    with open_container(path) as container:
        stream = picture_stream(container, path, strict=True)
        colours = StatedColours(stream)
        decoder, numbers = decoder_of(stream), _Numbers(stream, tally=tally)
        for packet in _packets_and_end(container, stream):
            try:
                pictures = decoder.decode(numbers.put(packet))
            except (av.FFmpegError, ValueError) as error:
                refuse_shortage(error)
                yield None
                return
            for picture in pictures:
                if picture.is_corrupt:
                    yield None
                    return
                tally.pictures += 1
                colours.tag(picture)
                yield Decoded(picture=picture, packet=numbers.take(picture))


def _decode_damaged(path: Path, *, tally: Tally) -> Iterator[Decoded]:
    with open_container(path) as container, open_container(path) as other:
        stream, judge = picture_stream(container, path), picture_stream(other, path, strict=True)
        colours = StatedColours(stream)
        decoder, judging = decoder_of(stream), decoder_of(judge)
        for each in (decoder, judging):
            each.thread_count = 1
            each.thread_type = ThreadType.NONE
        numbers = _Numbers(stream, tally=tally)
        for packet, twin in zip(_packets_and_end(container, stream), _packets_and_end(other, judge), strict=False):
            judged = Tally()
            _decode_packet(judging, twin, tally=judged)
            numbered = numbers.put(packet)
            if judged.undecodable and numbered is not None and numbered.pts is not None:
                tally.refused.add(numbered.pts)
            for picture in _decode_packet(decoder, numbered, tally=tally):
                tally.pictures += 1
                number = numbers.take(picture)
                colours.tag(picture)
                yield Decoded(picture=picture, packet=number, is_damaged=picture.is_corrupt or number in tally.refused)


class _Numbers:
    """Numbers the packets that should give a picture: each picture then has the number of its packet.

    The number takes the place of the presentation time on the way through the decoder, since a time may be missing, or
    be that of several packets.
    """

    def __init__(self, stream: VideoStream, *, tally: Tally) -> None:
        self._codec = stream.codec_context.name
        self._tally = tally
        self._times: dict[int, int | None] = {}

    def put(self, packet: Packet[VideoStream] | None) -> Packet[VideoStream] | None:
        """Number a packet that goes to the decoder; one that is decoded only gets none."""
        if packet is None:
            return None
        if is_shown(packet, codec=self._codec):
            number = self._tally.packets
            self._times[number] = packet.pts
            packet.pts = number
            self._tally.packets += 1
        else:
            packet.pts = None
        return packet

    def take(self, picture: VideoFrame) -> int:
        """Return the number of a picture's packet, -1 if it has none, and give the picture its time back."""
        number = -1 if picture.pts is None else picture.pts
        picture.pts = self._times.pop(number, None)
        return number


def _packets_and_end(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream] | None]:
    """Yield the packets to come, then None: without it the decoder keeps the last pictures, which it reorders."""
    yield from packets_of(container, stream)
    yield None


def _decode_packet(decoder: VideoCodecContext, packet: Packet[VideoStream] | None, *, tally: Tally) -> list[VideoFrame]:
    """Decode one packet, None to drain the decoder; damage is counted, not raised."""
    try:
        return decoder.decode(packet)
    except (av.FFmpegError, ValueError) as error:
        refuse_shortage(error)
        tally.undecodable += 1
        return []


class Cursor:
    """Walks forward through a video's pictures, skipping ahead to the key packets of a table.

    A step checks that the packet seeked to and each picture's time are those of the table. At the first
    difference, decoding error or damaged picture it gives up, since only a full pass can then show which picture has
    which index.
    """

    def __init__(self, container: InputContainer, stream: VideoStream, *, table: SeekTable) -> None:
        self._container = container
        self._stream = stream
        self._decoder, self._colours = decoder_of(stream), StatedColours(stream)
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
                self._colours.tag(picture)
                return picture
        return None

    def _jump(self, key: int) -> bool:
        depth = self._stream.codec_context.reorder_depth
        try:
            self._container.seek(int(self._seek_to[key]), stream=self._stream)
        except av.FFmpegError as error:
            refuse_shortage(error)
            return False
        if self._decoder is not self._stream.codec_context:
            self._decoder.flush_buffers()
        # Flushing resets the depth that the decoder has learnt, which would drop or misorder pictures.
        self._stream.codec_context.reorder_depth = depth
        self._ready.clear()
        self._packets = _packets_and_end(self._container, self._stream)
        for packet in self._packets:
            if packet is None or (packet.dts is not None and packet.dts > self._pts[key]):
                return False
            if packet.pts == self._pts[key] and packet.is_keyframe:
                self._next = key
                self._ready.extend(_decode_packet(self._decoder, packet, tally=self._tally))
                return True
        return False

    def _decode(self) -> VideoFrame | None:
        if not self._ready:
            for packet in self._packets:
                self._ready.extend(_decode_packet(self._decoder, packet, tally=self._tally))
                if self._tally.undecodable:
                    return None
                if self._ready:
                    break
        return self._ready.popleft() if self._ready else None
