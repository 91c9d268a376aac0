"""Animated PNG with a hole: the frames on both sides of it as a file of their own, since decoders end at the hole."""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections import Counter
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from covos.core.limits import limits
from covos.core.signatures import PNG
from covos.media.whole_frames import WholeFrames

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

END_OF_PNG = b"\0\0\0\0IEND\xae\x42\x60\x82"
_HEADER_END = 33
"""Bytes of the mark and of IHDR, by which all pictures are read."""
_FRAME = re.compile(rb"\0\0\0\x1afcTL|IEND")
_BEFORE_PICTURES = frozenset({b"PLTE", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT", b"cICP", b"pHYs"})
_OF_PIXELS = frozenset({b"IHDR", b"PLTE", b"IDAT", b"tRNS"})
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by the type of colour: PNG (third edition), section 11.2.1
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_CONTROL = struct.Struct(">IIIIIHHBB")
_MOST_FRAMES = 100_000
"""A number that is stated is not believed above it, nor gaps of so many frames together."""
_LAST_FILTER = 4
_STEP = 64
"""Bytes that are unpacked together; an error takes as many."""


class _Chunk(NamedTuple):
    name: bytes
    data: bytes
    is_whole: bool


class _Control(NamedTuple):
    """A frame's head (fcTL): PNG (third edition), section 11.3.4.2."""

    number: int
    width: int
    height: int
    left: int
    top: int
    ticks: int
    rate: int
    disposal: int
    blend: int

    @property
    def milliseconds(self) -> int:
        return round(1000 * self.ticks / (self.rate or 100))


@dataclass(slots=True)
class _Frame:
    control: _Control
    data: list[bytes] = field(default_factory=list)
    is_sure: bool = True  # of its head
    is_whole: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    width: int
    height: int
    depth: int
    colour: int
    interlaced: bool

    def lines_of(self, width: int, height: int) -> list[int]:
        """Return the bytes of each line of a picture, of which the first names its filter."""
        bits = self.depth * _CHANNELS[self.colour]
        sizes = [(width, height)]
        if self.interlaced:
            sizes = [(-(-(width - x) // across), -(-(height - y) // down)) for x, y, across, down in _PASSES]
        return [1 + -(-across * bits // 8) for across, down in sizes if across > 0 for _ in range(down)]

    def holds(self, control: _Control) -> bool:
        return (
            0 < control.width <= self.width - control.left
            and 0 < control.height <= self.height - control.top
            and control.disposal <= 2
            and control.blend <= 1
        )

    def is_filled_by(self, control: _Control) -> bool:
        """Return True if nothing of the frame before shows through."""
        return (control.width, control.height) == (self.width, self.height) and (
            control.blend == 0 or self.colour in (0, 2)
        )


def is_torn_apng(path: Path) -> bool:
    """Return True if a file is an animated PNG with frames behind a place at which its chunks do not go on."""
    with path.open("rb") as file:
        if file.read(len(PNG)) != PNG or _goes_on(file):
            return False
        file.seek(0)
        content = file.read()
    return read_torn(content) is not None


def _goes_on(file: BinaryIO) -> bool:
    """Tell if the chunks of a PNG go on to its end, by their heads alone: most pictures need not be read for it.

    The file stands behind its mark. A checksum is not looked at, for a chunk with a wrong one is no hole if another
    follows it (see `_chunks`).
    """
    while len(head := file.read(8)) == 8:
        length, name = int.from_bytes(head[:4], "big"), head[4:]
        if not name.isalpha():
            return False
        if name == b"IEND":
            return head + file.read(4) == END_OF_PNG
        file.seek(length + 4, os.SEEK_CUR)
    return False


def is_damaged_png(content: bytes) -> bool:
    """Return True if the pixels of a PNG, or what they mean, have a wrong checksum; decoders may show them anyway."""
    return any(each is None or (each.name in _OF_PIXELS and not each.is_whole) for each in _chunks(content))


def read_torn(content: bytes) -> WholeFrames | None:
    """Put the frames on both sides of each hole together; None if there is no hole, or no frame behind it.

    A picture that lacks its end is kept, with zeros there: decoders of whole files give it, too. Samples of 16 bits are
    left to them.
    """
    header = _header(content)
    if header is None or header.depth > 8:
        return None
    chunks = list(_chunks(content))
    hole = next((at for at, each in enumerate(chunks) if each is None), len(chunks))
    if not any(each is not None and each.name == b"fcTL" for each in chunks[hole:]):
        return None
    frames, stated = _frames(chunks, header)
    frames = [each for each in frames if each.data and _is_drawn(each, header)]
    if not frames:
        return None
    numbers = _numbers(frames)
    count = max(stated, numbers[-1] + 1)
    usual = Counter(each.control.milliseconds for each in frames).most_common(1)[0][0]
    durations = [usual] * count
    for number, frame in zip(numbers, frames, strict=True):
        durations[number] = frame.control.milliseconds
    return WholeFrames(
        content=_file(content, chunks, frames, header),
        durations=tuple(durations),
        kept=tuple(numbers),
        patched=_patched(numbers, frames, header),
        hidden=1,
        is_counted=stated > numbers[-1],
    )


def _header(content: bytes) -> _Header | None:
    chunk = next(_chunks(content), None)
    if chunk is None or chunk.name != b"IHDR" or not chunk.is_whole or len(chunk.data) != 13:
        return None
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", chunk.data)
    if colour not in _CHANNELS or depth not in (1, 2, 4, 8, 16) or not 0 < width * height <= limits().pixels:
        return None
    return _Header(width=width, height=height, depth=depth, colour=colour, interlaced=bool(interlaced))


def _chunks(content: bytes) -> Iterator[_Chunk | None]:
    """Give each chunk; None for a hole, behind which the next frame's head with a right checksum, or the end, follows.

    The data before a hole comes as far as the hole's end: the picture's own end is found in it.
    """
    at, size = len(PNG), len(content)
    while at + 12 <= size:
        length, name = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        end = at + 12 + length
        is_whole = end <= size and zlib.crc32(content[at + 4 : end - 4]) == int.from_bytes(
            content[end - 4 : end], "big"
        )
        if name.isalpha() and (is_whole or (end + 12 <= size and content[end + 4 : end + 8].isalpha())):
            yield _Chunk(name, content[at + 8 : end - 4], is_whole)
            if name == b"IEND":
                return
            at = end
            continue
        later = next((found.start() for found in _FRAME.finditer(content, at + 1) if _begins(content, found)), size)
        if name in (b"IDAT", b"fdAT"):
            yield _Chunk(name, content[at + 8 : later], False)
        yield None
        at = later


def _begins(content: bytes, found: re.Match[bytes]) -> bool:
    if found[0] == b"IEND":
        return False
    at = found.start()
    return zlib.crc32(content[at + 4 : at + 34]) == int.from_bytes(content[at + 34 : at + 38], "big")


def _frames(chunks: list[_Chunk | None], header: _Header) -> tuple[list[_Frame], int]:
    """Return the frames whose heads can be read, and how many there were; 0 if that is not known."""
    frames: list[_Frame] = []
    stated, takes = 0, False
    for each in chunks:
        if each is None:
            takes = False
        elif each.name == b"acTL" and each.is_whole and len(each.data) == 8:
            stated = int.from_bytes(each.data[:4], "big")
        elif each.name == b"fcTL":
            takes = len(each.data) == _CONTROL.size and header.holds(control := _Control(*_CONTROL.unpack(each.data)))
            if takes:
                frames.append(_Frame(control, is_sure=each.is_whole, is_whole=each.is_whole))
        elif each.name in (b"IDAT", b"fdAT") and takes:
            frames[-1].data.append(each.data if each.name == b"IDAT" else each.data[4:])
            frames[-1].is_whole &= each.is_whole
    return frames, stated if stated <= _MOST_FRAMES else 0


def _is_drawn(frame: _Frame, header: _Header) -> bool:
    """Pack a picture with damage again, zeros where it lacks something; False if nothing of it can be read."""
    sizes = header.lines_of(frame.control.width, frame.control.height)
    size = sum(sizes)
    packed, lines = b"".join(frame.data), bytearray()
    decoder = zlib.decompressobj()
    try:
        for at in range(0, len(packed), _STEP):
            lines += decoder.decompress(packed[at : at + _STEP], size - len(lines) + 1)
            if len(lines) > size or decoder.eof:
                break
    except zlib.error:
        pass
    # The picture's own checksum was right, whatever those of its pieces are.
    is_whole = len(lines) == size and decoder.eof
    if not is_whole:
        starts = accumulate(sizes, initial=0)
        del lines[next((at for at in starts if at >= len(lines) or lines[at] > _LAST_FILTER), size) :]
    if not (is_whole and frame.is_whole):
        frame.data = [zlib.compress(bytes(lines).ljust(size, b"\0"))]
    frame.is_whole = is_whole and frame.is_sure
    return bool(lines)


def _numbers(frames: list[_Frame]) -> list[int]:
    """Number the frames by the numbers of their chunks, which count heads and pieces of pictures together."""
    counted = [each.control.number if each.is_sure else None for each in frames]
    steps = [after - before for before, after in pairwise(filter(None, counted)) if after > before]
    usual = Counter(steps).most_common(1)[0][0] if steps else 2
    numbers: list[int] = []
    spare = _MOST_FRAMES
    before: int | None = 0
    for at in counted:
        least = numbers[-1] + 1 if numbers else 0
        if at is not None and before is not None:
            gap = min(spare, -(-(at - before) // usual))
            numbers.append(max(least, (numbers[-1] if numbers else 0) + gap))
            spare -= numbers[-1] - least
        else:
            numbers.append(least)
        before = at
    return numbers


def _patched(numbers: list[int], frames: list[_Frame], header: _Header) -> frozenset[int]:
    patched: set[int] = set()
    is_torn, before = False, -1
    for number, frame in zip(numbers, frames, strict=True):
        is_torn |= number != before + 1
        if header.is_filled_by(frame.control):
            is_torn = False
        if is_torn or not frame.is_whole:
            patched.add(number)
        is_torn |= not frame.is_whole
        before = number
    return frozenset(patched)


def _file(content: bytes, chunks: list[_Chunk | None], frames: list[_Frame], header: _Header) -> bytes:
    """Write the frames behind a hidden picture of zeros, so that the first may be any."""
    blank = zlib.compress(bytes(sum(header.lines_of(header.width, header.height))))
    parts = [
        content[:_HEADER_END],
        *(_chunk(each.name, each.data) for each in chunks if each and each.is_whole and each.name in _BEFORE_PICTURES),
        _chunk(b"acTL", struct.pack(">II", len(frames), 0)),
        _chunk(b"IDAT", blank),
    ]
    for at, frame in enumerate(frames):
        control = frame.control._replace(number=2 * at)
        parts.append(_chunk(b"fcTL", _CONTROL.pack(*control)))
        parts.append(_chunk(b"fdAT", struct.pack(">I", 2 * at + 1) + b"".join(frame.data)))
    return b"".join([*parts, _chunk(b"IEND", b"")])


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
