"""Read from the headers of coded pictures the place of each in the order of display.

Each picture of H.264, HEVC and MPEG-2 states its place: its picture order count (ITU-T H.264, 8.2.1; H.265, 8.3.1), or
its temporal reference (H.262, 6.3.9). A place that is left out is a lost picture. Bare streams, which state no times,
have nothing else; in containers, a gap in time at the same place is then no pause.

Units lie behind start codes, or behind their lengths, as in mp4 and Matroska (ISO/IEC 14496-15). These keep the
parameters of the sequence aside, in the same record that states how long a length is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple, Protocol

_UNIT = re.compile(rb"\x00\x00\x01(?=.)", re.DOTALL)
_HEAD = 64  # bytes of a slice header that are looked at
_MOST_UNITS = 64  # units before a picture's first slice
_LONGEST = 64  # zeros of a variable-length number; more are damage
_TEMPORAL_REFERENCES = 1 << 10
_WITH_CHROMA = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244})
"""Profiles of H.264 that state the chroma format."""


class Place(NamedTuple):
    """The place of a picture in its group."""

    begins: bool
    """True if a group begins with it, in which places count anew."""
    number: int
    """Place, modulo ``modulus``."""
    modulus: int
    frame: int = 0
    """Number of the frame, modulo ``frames`` (H.264 alone)."""
    frames: int = 1
    refers: bool = False
    """True if other frames may refer to it: the number of the next one is higher by one."""


class _DamagedError(Exception):
    """A header that is not what it should be."""


class OrderReader(Protocol):
    """Reads the places of one stream's pictures, packet after packet."""

    def place(self, packet: bytes) -> Place | None:
        """Return the place of the packet's first picture; None if its header does not state it."""
        ...


def order_reader(codec: str, record: bytes = b"") -> OrderReader | None:
    """Return a reader for a codec; None if its pictures state no place.

    Args:
        codec: FFmpeg's name.
        record: What the container keeps aside for the decoder.
    """
    if codec == "h264":
        return _H264(record)
    if codec == "hevc":
        return _Hevc(record)
    return _Mpeg() if codec in {"mpeg1video", "mpeg2video"} else None


class _Bits:
    """Bits of a unit, without the bytes that keep start codes out of it."""

    def __init__(self, content: bytes) -> None:
        plain = content.replace(b"\x00\x00\x03", b"\x00\x00")
        self._bits, self._left = int.from_bytes(plain, "big"), 8 * len(plain)

    def take(self, count: int) -> int:
        """Return an unsigned number of so many bits."""
        if count > self._left:
            raise _DamagedError
        self._left -= count
        return self._bits >> self._left & (1 << count) - 1

    def golomb(self) -> int:
        """Return an unsigned number in exponential Golomb code."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > _LONGEST:
                raise _DamagedError
        return (1 << zeros) - 1 + self.take(zeros)

    def skip_golomb(self, count: int) -> None:
        """Pass over so many such numbers, signed or not."""
        for _ in range(count):
            self.golomb()


@dataclass(slots=True)
class _Sequence:
    """The part of a sequence's parameters that places of pictures depend on."""

    has_planes: bool
    frame_bits: int
    order_bits: int
    only_frames: bool = True


class _H264:
    """Places by the picture order count, coded (type 0) or made of the frame's number (8.2.1.3)."""

    def __init__(self, record: bytes) -> None:
        self._sequence: _Sequence | None = None
        self._length = 0
        if record[:1] == b"\1" and len(record) > 6:
            self._length = (record[4] & 3) + 1
            size = int.from_bytes(record[6:8], "big")
            self._find(record, [(8, 8 + size)])
        elif record:
            self._find(record, _units(record, 0))

    def place(self, packet: bytes) -> Place | None:
        """See `OrderReader.place`."""
        return self._find(packet, _units(packet, self._length))

    def _find(self, packet: bytes, units: list[tuple[int, int]]) -> Place | None:
        for start, end in units:
            if start >= end:
                continue
            kind, refers = packet[start] & 0x1F, packet[start] & 0x60 > 0
            try:
                if kind == 7:
                    self._sequence = self._read(_Bits(packet[start + 1 : end]))
                elif kind in {1, 5} and self._sequence is not None:
                    return self._slice(_Bits(packet[start + 1 : start + 1 + _HEAD]), self._sequence, kind, refers)
            except _DamagedError:
                return None
        return None

    def _slice(self, bits: _Bits, sequence: _Sequence, kind: int, refers: bool) -> Place | None:
        bits.skip_golomb(3)
        bits.take(2 if sequence.has_planes else 0)
        number = bits.take(sequence.frame_bits)
        if not sequence.only_frames and bits.take(1):
            return None  # a field
        if kind == 5:
            bits.golomb()
        frames = 1 << sequence.frame_bits
        if sequence.order_bits:
            return Place(kind == 5, bits.take(sequence.order_bits), 1 << sequence.order_bits, number, frames, refers)
        return Place(kind == 5, (2 * number - (not refers)) % (2 * frames), 2 * frames, number, frames, refers)

    def _read(self, bits: _Bits) -> _Sequence:
        profile = bits.take(24) >> 16
        bits.golomb()
        has_planes = False
        if profile in _WITH_CHROMA:
            chroma = bits.golomb()
            has_planes = chroma == 3 and bool(bits.take(1))
            bits.skip_golomb(2)
            bits.take(1)
            if bits.take(1):
                for each in range(12 if chroma == 3 else 8):
                    _skip_scaling(bits, 16 if each < 6 else 64)
        frame_bits = 4 + bits.golomb()
        kind = bits.golomb()
        order_bits = 4 + bits.golomb() if kind == 0 else 0
        if kind == 1:
            bits.take(1)
            bits.skip_golomb(2)
            bits.skip_golomb(min(bits.golomb(), 255))
        bits.golomb()
        if bits.take(1):  # frames may be left out on purpose
            raise _DamagedError
        bits.skip_golomb(2)
        return _Sequence(has_planes, frame_bits, order_bits, only_frames=bool(bits.take(1)))


def _skip_scaling(bits: _Bits, size: int) -> None:
    if not bits.take(1):
        return
    last = 8
    for _ in range(size):
        code = bits.golomb()
        last = (last + ((code + 1) // 2 if code % 2 else -(code // 2))) % 256
        if last == 0:
            return


class _Hevc:
    """Places by the picture order count."""

    def __init__(self, record: bytes) -> None:
        self._sequence: _Sequence | None = None
        self._extra = 0
        self._tells_output = False
        self._length = 0
        if record[:1] == b"\1" and len(record) > 22:
            self._length = (record[21] & 3) + 1
            self._find(record, _kept_aside(record))
        elif record:
            self._find(record, _units(record, 0))

    def place(self, packet: bytes) -> Place | None:
        """See `OrderReader.place`."""
        return self._find(packet, _units(packet, self._length))

    def _find(self, packet: bytes, units: list[tuple[int, int]]) -> Place | None:
        for start, end in units:
            if start >= end:
                continue
            kind = packet[start] >> 1 & 0x3F
            try:
                if kind == 33:
                    self._sequence = self._read(_Bits(packet[start + 2 : end]))
                elif kind == 34:
                    bits = _Bits(packet[start + 2 : end])
                    bits.skip_golomb(2)
                    self._tells_output, self._extra = bool(bits.take(2) & 1), bits.take(3)
                elif kind < 32 and self._sequence is not None:
                    return self._slice(_Bits(packet[start + 2 : start + 2 + _HEAD]), self._sequence, kind)
            except _DamagedError:
                return None
        return None

    def _slice(self, bits: _Bits, sequence: _Sequence, kind: int) -> Place | None:
        if not bits.take(1):
            return None  # the picture's first slice is gone
        bits.take(1 if 16 <= kind <= 23 else 0)
        bits.golomb()
        bits.take(self._extra)
        bits.golomb()
        bits.take(self._tells_output + 2 * sequence.has_planes)
        modulus = 1 << sequence.order_bits
        return Place(True, 0, modulus) if kind in {19, 20} else Place(False, bits.take(sequence.order_bits), modulus)

    def _read(self, bits: _Bits) -> _Sequence:
        layers = bits.take(8) >> 1 & 7
        bits.take(96)
        told = [bits.take(2) for _ in range(8 if layers else 0)]
        for each in told[:layers]:
            bits.take(88 * (each >> 1) + 8 * (each & 1))
        bits.golomb()
        has_planes = bits.golomb() == 3 and bool(bits.take(1))
        bits.skip_golomb(2)
        if bits.take(1):
            bits.skip_golomb(4)
        bits.skip_golomb(2)
        return _Sequence(has_planes, 0, 4 + bits.golomb())


class _Mpeg:
    """Places by the temporal reference."""

    def place(self, packet: bytes) -> Place | None:
        """See `OrderReader.place`."""
        begins = False
        for start, end in _units(packet, 0):
            begins |= packet[start] == 0xB8
            if packet[start] == 0 and end - start > 3:
                return Place(begins, int.from_bytes(packet[start + 1 : start + 3], "big") >> 6, _TEMPORAL_REFERENCES)
        return None


def _units(packet: bytes, length: int) -> list[tuple[int, int]]:
    """Return where the units of a packet begin and end: behind start codes, or behind lengths of so many bytes."""
    if not length:
        starts = [found.end() for _, found in zip(range(_MOST_UNITS), _UNIT.finditer(packet), strict=False)]
        return list(zip(starts, [*(start - 3 for start in starts[1:]), len(packet)], strict=False))
    units: list[tuple[int, int]] = []
    at = 0
    while at + length < len(packet) and len(units) < _MOST_UNITS:
        start = at + length
        at = start + int.from_bytes(packet[at:start], "big")
        units.append((start, min(at, len(packet))))
    return units


def _kept_aside(record: bytes) -> list[tuple[int, int]]:
    """Return where the units lie that an HEVC record keeps aside (ISO/IEC 14496-15, 8.3.3.1)."""
    units: list[tuple[int, int]] = []
    at = 23
    for _ in range(record[22]):
        count, at = int.from_bytes(record[at + 1 : at + 3], "big"), at + 3
        for _ in range(min(count, _MOST_UNITS)):
            size, at = int.from_bytes(record[at : at + 2], "big"), at + 2
            units.append((at, min(at + size, len(record))))
            at += size
    return units
