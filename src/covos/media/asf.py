"""Walk through the packets of an ASF file: where does an object, such as a picture, not go on as it must?

Packets have one size, and hold pieces of objects. Each piece states its stream, the object's number in it, its place in
the object, and, the first one, the object's size (Advanced Systems Format specification, 5.2).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
"""Mark of the object that a file begins with (section 3.1)."""
_WIDTHS = (0, 1, 2, 4)  # bytes of a number, by two bits that state its type


class _TornError(Exception):
    """A packet is not what its own numbers say."""


@dataclass(frozen=True, slots=True)
class _Piece:
    stream: int
    number: int
    place: int
    size: int
    """Size of the whole object; 0 if it is not stated."""
    length: int
    packed: bool
    """Several small objects are in one piece."""


@dataclass(slots=True)
class _Stream:
    number: int
    size: int
    reached: int


@dataclass(slots=True)
class PacketWalk:
    """Follows the objects of all streams; ``goes_on`` takes one packet after another."""

    _streams: dict[int, _Stream] = field(default_factory=dict)

    def goes_on(self, packet: bytes) -> bool:
        """Return False if the packet is damaged, or does not follow on the one before."""
        try:
            follows = [self._follows(piece) for piece in _pieces(packet)]  # all are looked at, for what comes next
        except (_TornError, IndexError):
            return False
        return all(follows)

    def _follows(self, piece: _Piece) -> bool:
        known = self._streams.get(piece.stream)
        size, reached = piece.size, piece.place + piece.length
        if piece.packed or piece.size == 0:
            self._streams.pop(piece.stream, None)
            return True
        self._streams[piece.stream] = _Stream(piece.number, size, reached)
        if reached > size:
            return False
        if known is None:
            return True
        if piece.place:
            return (known.number, known.size, known.reached) == (piece.number, size, piece.place)
        return known.reached == known.size and piece.number == (known.number + 1) % 256


def _pieces(packet: bytes) -> Iterator[_Piece]:
    at = 0
    if packet[0] & 0x80:
        if packet[0] & 0x70:
            raise _TornError
        at = 1 + (packet[0] & 0x0F)
    kinds, fields = packet[at], packet[at + 1]
    at += 2
    length, at = _number(packet, at, kinds >> 5)
    _, at = _number(packet, at, kinds >> 1)
    padding, at = _number(packet, at, kinds >> 3)
    at += 6  # the time at which it is to be sent, and how long it lasts
    # A packet that states its length is filled up to the size of all.
    end = (length or len(packet)) - padding
    if not at <= end <= len(packet):
        raise _TornError
    several = kinds & 1
    count, length_kind = 1, 0
    if several:
        count, length_kind = packet[at] & 0x3F, packet[at] >> 6
        at += 1
    for _ in range(count):
        stream = packet[at] & 0x7F
        number, at = _number(packet, at + 1, fields >> 4)
        place, at = _number(packet, at, fields >> 2)
        told, at = _number(packet, at, fields)
        packed = told == 1
        size = int.from_bytes(packet[at : at + 4], "little") if told >= 8 else 0
        at += told
        own = end - at
        if several:
            own, at = _number(packet, at, length_kind)
        at += own
        if stream == 0 or own <= 0 or at > end:
            raise _TornError
        yield _Piece(stream, number % 256, place, size, own, packed)


def _number(packet: bytes, at: int, kind: int) -> tuple[int, int]:
    """Read a number whose width two bits state; return it, and the offset behind it."""
    width = _WIDTHS[kind & 3]
    if at + width > len(packet):
        raise _TornError
    return int.from_bytes(packet[at : at + width], "little"), at + width
