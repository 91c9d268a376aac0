"""Walk through a NUT file (nut.txt of the NUT project): from frame to frame, and from sync point to sync point."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from zlib import crc32

from covos.media.structure_found import MOST_BREAKS, Content, Structure

_MAIN = bytes.fromhex("4e4d7a561f5f04ad")
_STREAM = bytes.fromhex("4e5311405bf2f9db")
_SYNC = bytes.fromhex("4e4be4adeeca4569")
_INFO = bytes.fromhex("4e49ab68b596ba78")
_INDEX = bytes.fromhex("4e58dd672f23e64e")
_STARTS = (_MAIN, _STREAM, _SYNC, _INFO, _INDEX)
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_LONG = 4096  # bytes of a packet from which its header has a checksum of its own; none of a frame's is left out then
_LONGEST, _LONGEST_SYNC = 1 << 22, 256  # bytes of a packet that is no frame, so that checksums take no long time
_TRIES = 16  # main headers, and indices, that are tried
_MOST_RESERVED = 64  # numbers without a meaning in the header of a frame
_PIPE = 0b11  # flags of a file that was written to a pipe: it may lack sync points
_CODED_PTS, _STREAM_ID, _SIZE, _CHECKSUM, _RESERVED, _HEADER, _MATCH, _CODED, _INVALID = (
    1 << bit for bit in (3, 4, 5, 6, 7, 10, 11, 12, 13)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Code:
    """The meaning of a frame's first byte: flags, and the values that the frame does not state itself."""

    flags: int
    stream: int = 0
    times: int = 1
    plus: int = 0
    reserved: int = 0
    header: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Main:
    """The main header.

    Attributes:
        streams: Number of streams.
        farthest: Bytes after a sync point in which a frame may begin.
        clocks: Time bases.
        codes: By a frame's first byte.
        headers: Bytes that frames have in common and do not store, by number.
    """

    streams: int
    farthest: int
    clocks: list[Fraction]
    codes: list[_Code]
    headers: list[int]


class _Bytes:
    """Reads numbers of variable length from an offset on; an IndexError means that the file ends."""

    def __init__(self, content: Content, at: int) -> None:
        self.content, self.at = content, at

    def number(self) -> int:
        """Read an unsigned number: seven bits a byte, the highest bit set on all bytes but the last."""
        value = 0
        while True:
            byte = self.content[self.at]
            self.at += 1
            value = value << 7 | byte & 0x7F
            if byte < 0x80 or value >> 64:
                return value

    @property
    def is_at_end(self) -> bool:
        return self.at >= len(self.content)


def nut(content: Content) -> Structure:
    """Walk from frame to frame; behind a break, from the next sync point on."""
    mains = (_main_header(content, at) for at in islice(_found(content, _MAIN), _TRIES))
    main = next((header for header in mains if header is not None), None)
    if main is None:
        return Structure(breaks=(0,), has_index=False)
    duration = _duration(content, main)
    breaks: list[int] = []
    at, size = content.find(b"\0") + 1, len(content)
    synced, next_sync = size, 0
    while at < size and len(breaks) < MOST_BREAKS:
        if next_sync <= at:
            next_sync = next((each for each in _found(content, _SYNC, at + 1) if _packet(content, each)), size)
        if content[at] == _MAIN[0]:
            end = (_packet(content, at) or (0, 0))[1]
            synced = at if content[at : at + 8] == _SYNC else synced
        else:
            end = _frame_end(content, at, main) if at <= synced + main.farthest else 0
        if end and end <= next_sync:
            at = end
            continue
        if end > size and duration is None:
            return Structure(cut=True, breaks=tuple(breaks), has_index=False)
        breaks.append(at)
        at = next_sync
    return Structure(breaks=tuple(breaks), has_index=duration is not None, duration=duration)


def _found(content: Content, start: bytes, at: int = 0) -> Iterator[int]:
    """Yield the offsets of a start code, from one on."""
    while (at := content.find(start, at)) >= 0:
        yield at
        at += 1


def _packet(content: Content, at: int) -> tuple[int, int] | None:
    """Return where the content of a packet begins and where the packet ends; None if it is none, or is damaged."""
    start_code = content[at : at + 8]
    if start_code not in _STARTS:
        return None
    reader = _Bytes(content, at + 8)
    length = reader.number()
    start, end = reader.at, reader.at + length
    if length > (_LONGEST_SYNC if start_code == _SYNC else _LONGEST):
        return None
    if length > _LONG:
        if not _is_whole(content, at, start + 4):
            return None
        start += 4
    return (start, end) if end <= len(content) and _is_whole(content, start, end) else None


def _is_whole(content: Content, start: int, end: int) -> bool:
    """Check the four bytes before an end, which are the checksum of those before."""
    return start + 4 <= end and checksum(content[start : end - 4]).to_bytes(4, "big") == content[end - 4 : end]


def _main_header(content: Content, at: int) -> _Main | None:
    packet = _packet(content, at)
    if packet is None:
        return None
    start, end = packet
    reader = _Bytes(content[start : end - 4], 0)
    if reader.number() > 3:
        reader.number()  # the version's second number
    streams, farthest = reader.number(), reader.number()
    clocks = [Fraction(reader.number(), reader.number() or 1) for _ in range(min(reader.number(), _LONG))]
    if (codes := _codes(reader)) is None:
        return None
    headers = [0]
    flags = 0
    if not reader.is_at_end:
        for _ in range(reader.number()):
            headers.append(reader.number())
            reader.at += headers[-1]
        flags = 0 if reader.is_at_end else reader.number()
    return _Main(
        streams=streams,
        farthest=len(content) if flags & _PIPE else farthest,
        clocks=clocks,
        codes=codes,
        headers=headers,
    )


def _codes(reader: _Bytes) -> list[_Code] | None:
    """Read the meaning of each byte with which a frame may begin; that of start codes is left out of the count.

    None if it states more or fewer bytes than there are.
    """
    codes: list[_Code] = []
    times, stream, header = 1, 0, 0
    while len(codes) < 256:
        flags, fields = reader.number(), reader.number()
        values = [reader.number() for _ in range(fields)]
        times, stream = values[1] if fields > 1 else times, values[2] if fields > 2 else stream
        plus, reserved = values[3] if fields > 3 else 0, values[4] if fields > 4 else 0
        count = values[5] if fields > 5 else times - plus
        header = values[7] if fields > 7 else header
        if not 0 < count <= 256 - len(codes):
            return None
        for each in range(count):
            codes += [_Code(flags=_INVALID)] if len(codes) == _MAIN[0] else []
            codes.append(
                _Code(flags=flags, stream=stream, times=times, plus=plus + each, reserved=reserved, header=header)
            )
    return codes


def _frame_end(content: Content, at: int, main: _Main) -> int:
    """Return where a frame ends that begins at an offset; 0 if none can begin there."""
    reader, code = _Bytes(content, at + 1), main.codes[content[at]]
    flags = code.flags
    if flags & _INVALID:
        return 0
    if flags & _CODED:
        flags ^= reader.number()
    stream = reader.number() if flags & _STREAM_ID else code.stream
    if flags & _CODED_PTS:
        reader.number()
    size = code.plus + (code.times * reader.number() if flags & _SIZE else 0)
    if flags & _MATCH:
        reader.number()
    header = reader.number() if flags & _HEADER else code.header
    reserved = reader.number() if flags & _RESERVED else code.reserved
    for _ in range(min(reserved, _MOST_RESERVED)):
        reader.number()
    if reserved > _MOST_RESERVED or stream >= main.streams or header >= len(main.headers):
        return 0
    if flags & _CHECKSUM:
        reader.at += 4
        if not _is_whole(content, at, reader.at):
            return 0
    elif size > 2 * main.farthest:
        return 0
    stored = size - (main.headers[header] if size <= _LONG else 0)
    return reader.at + stored if stored >= 0 else 0


def _duration(content: Content, main: _Main) -> Fraction | None:
    """Return the start of the last frame, in seconds, as the index states it; None without one."""
    places, end = 0, len(content)
    while (at := content.rfind(_INDEX, 0, end)) >= 0 and places < _TRIES:
        places, end = places + 1, at
        packet = _packet(content, at)
        if packet is not None and main.clocks:
            ticks, clock = divmod(_Bytes(content, packet[0]).number(), len(main.clocks))
            return ticks * main.clocks[clock]
    return None


def checksum(content: bytes) -> int:
    """Return the checksum of NUT packets and Ogg pages: CRC-32 with the bits turned round, begun at zero."""
    mirrored = crc32(content.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(mirrored.to_bytes(4, "little").translate(_MIRRORED), "big")
