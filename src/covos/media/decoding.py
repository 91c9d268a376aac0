"""Decode a video file, from its start or by jumping to single frames, and make displayed RGB of its pictures."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.codec.context import ThreadType
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from covos.core.errors import SourceError
from covos.media.container import is_shown, open_container, packets_of, picture_stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from covos.core.types import ImageArray
    from covos.media.packets import SeekTable

# swscale's default repeats chroma samples, which shows as steps along coloured edges; exact rounding and
# bit-exactness make two machines give the same pixels, and so the same masks.
_ACCURATE = Interpolation.BILINEAR | Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
# Matrices (ITU-T H.273, table 4) that swscale converts: BT.709, FCC, BT.470BG, SMPTE 170M, SMPTE 240M, BT.2020.
_KNOWN_MATRICES = frozenset({1, 4, 5, 6, 7, 9})
_UNSPECIFIED_MATRIX = 2
_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
_LIMITED_TO_FULL = np.rint((np.arange(256.0) - 16) * 255 / 219).clip(0, 255).astype(np.uint8)

Orientation = tuple[int, int, int, int]
"""The linear part of a display matrix, rounded to -1, 0, 1: x' = a x + c y, y' = b x + d y, as (a, b, c, d)."""
_UPRIGHT: Orientation = (1, 0, 0, 1)


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
    come out than packets go in, the file is read again from its start by two decoders on one thread each: one that
    gives all it can, and a strict one, which tells the pictures that the other has painted over. One thread, because
    pictures in flight are lost when a decoder with frame threads meets damage near the end of the stream: PyAV cannot
    go on draining it after an error.
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
        numbers = _Numbers(stream, tally=tally)
        for packet in _packets_and_end(container, stream):
            try:
                pictures = stream.decode(numbers.put(packet))
            except (av.FFmpegError, ValueError):
                yield None
                return
            for picture in pictures:
                if picture.is_corrupt:
                    yield None
                    return
                tally.pictures += 1
                yield Decoded(picture=picture, packet=numbers.take(picture))


def _decode_damaged(path: Path, *, tally: Tally) -> Iterator[Decoded]:
    with open_container(path) as container, open_container(path) as other:
        stream, judge = picture_stream(container, path), picture_stream(other, path, strict=True)
        for each in (stream, judge):
            each.codec_context.thread_count = 1
            each.codec_context.thread_type = ThreadType.NONE
        numbers = _Numbers(stream, tally=tally)
        for packet, twin in zip(_packets_and_end(container, stream), _packets_and_end(other, judge), strict=False):
            judged = Tally()
            _decode_packet(judge, twin, tally=judged)
            numbered = numbers.put(packet)
            if judged.undecodable and numbered is not None and numbered.pts is not None:
                tally.refused.add(numbered.pts)
            for picture in _decode_packet(stream, numbered, tally=tally):
                tally.pictures += 1
                number = numbers.take(picture)
                yield Decoded(picture=picture, packet=number, is_damaged=picture.is_corrupt or number in tally.refused)


class _Numbers:
    """Numbers the packets that should give a picture: each picture then tells which one it is of.

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


class PictureReader:
    """Turns decoded pictures into displayed RGB, all of one size.

    Rotation and mirroring are applied, limited and full range and the colour matrix are honoured, deeper
    samples are reduced to 8 bits, alpha is dropped and the colour under it kept. HDR is not tone-mapped. Pictures are
    scaled to ``size``, (width, height), that of the first before rotation; ``warn`` is called with each oddity met.
    """

    def __init__(self, name: str, *, size: tuple[int, int], warn: Callable[[str], None]) -> None:
        self._name = name
        self._size = size
        self._warn = warn
        self._reformatter = VideoReformatter()

    def rgb(self, picture: VideoFrame) -> ImageArray:
        """Convert one picture to H x W x 3 uint8 RGB, contiguous, as displayed."""
        orientation = orientation_of(picture)
        if picture.color_trc in _HDR_TRANSFERS:
            self._warn(f"the video is HDR ({_HDR_TRANSFERS[picture.color_trc]}) and is read without tone mapping")
        if picture.interlaced_frame:
            self._warn("the video is interlaced and is not deinterlaced: moving edges are combed")
        if orientation is None:
            self._warn("the rotation that the file asks for is not a quarter turn and is not applied")
        width, height = self._size
        if (picture.width, picture.height) != (width, height):
            self._warn(
                f"the frame size changes from {width}x{height} to {picture.width}x{picture.height}: "
                "later frames are scaled to the first one's size"
            )
        try:
            converted = self._reformatter.reformat(
                picture,
                format="rgb24",
                width=width,
                height=height,
                src_colorspace=(matrix := self._matrix(picture)),
                dst_colorspace=matrix,
                interpolation=_ACCURATE,
                threads=1,  # as in the writer
            )
        except (av.FFmpegError, ValueError) as error:
            raise SourceError(
                f"{self._name}: its colours cannot be read",
                why=f"pixel format {picture.format.name}: {error}",
                fix="convert it to H.264 yuv420p first",
            ) from error
        image: ImageArray = np.asarray(converted.to_ndarray(), np.uint8)
        if picture.format.name.startswith("gray") and picture.color_range == ColorRange.MPEG:
            image = _LIMITED_TO_FULL[image]  # swscale takes every grey for full range
        return _orient(image, orientation=orientation)

    def _matrix(self, picture: VideoFrame) -> int | None:
        if picture.format.is_rgb or picture.colorspace in _KNOWN_MATRICES:
            return None
        if picture.colorspace != _UNSPECIFIED_MATRIX:
            self._warn(f"colour matrix {picture.colorspace} is not supported: colours are approximate")
        # Untagged video: high definition is BT.709, standard definition BT.601, as players take it.
        high_definition = picture.width >= 1280 or picture.height > 576
        return int(Colorspace.ITU709 if high_definition else Colorspace.ITU601)


def orientation_of(picture: VideoFrame) -> Orientation | None:
    """Return the orientation that the container asks for; None if it is not made of quarter turns and mirrors."""
    try:
        data: Any = picture.side_data.get("DISPLAYMATRIX")
    except ValueError:
        # PyAV refuses all side data if it does not know one type among it, such as the EXIF block of a Motion
        # JPEG; the angle can still be had.
        turn = {0: _UPRIGHT, 90: (0, -1, 1, 0), 180: (-1, 0, 0, -1), 270: (0, 1, -1, 0)}
        return turn.get(picture.rotation % 360)
    if data is None:
        return _UPRIGHT
    matrix = np.frombuffer(bytes(data), np.int32)[[0, 1, 3, 4]] / 65536  # 16.16 fixed point
    scale = np.abs(matrix).max()
    if scale == 0:
        return _UPRIGHT
    a, b, c, d = (int(v) for v in np.rint(matrix / scale))
    is_quarter_turn = abs(a) == abs(d) and abs(b) == abs(c) and abs(a) + abs(b) == 1
    return (a, b, c, d) if is_quarter_turn else None


def _orient(image: ImageArray, *, orientation: Orientation | None) -> ImageArray:
    """Turn and mirror an H x W x 3 picture, to a contiguous one; None leaves it as it is."""
    a, b, c, d = orientation or _UPRIGHT
    turned = image if a else image.transpose(1, 0, 2)
    across, down = (a, d) if a else (c, b)
    return np.ascontiguousarray(turned[::down, ::across])


def rotation_degrees(orientation: Orientation | None) -> int:
    """Return the counter-clockwise degrees, 0, 90, 180 or 270, of an orientation, or of its unmirrored part."""
    a, b, c, d = orientation or _UPRIGHT
    if a * d - b * c < 0:
        a, c = -a, -c
    return {(1, 0): 0, (0, -1): 90, (-1, 0): 180, (0, 1): 270}[a, b]
