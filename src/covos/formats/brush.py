"""The run-length code of Label Studio's brush: bits, over the four channels of a picture, row by row.

A head of 32 bits says how many values there are (4 x height x width), 5 bits the width of a value less one, 4 x 4 bits
the widths of the four sizes of a length, less one. Then, until all values are there: one bit (1: a run of one value;
0: as many single values), two bits that choose the size of the length, the length less one, and the value or values.
(``rle-pack`` of thi.ng/umbrella, which Label Studio uses.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from covos.core.errors import AnnotationError
from covos.masks import RLE, decode, encode

_CHANNELS = 4
_ALPHA = 3
_HEAD_BITS = 32 + 5 + 4 * 4
_VALUE_BITS = 8
_SIZES = (3, 4, 8, 16)
_LONGEST = 1 << _SIZES[-1]


def pack(rle: RLE) -> bytes:
    """Code a mask as Label Studio's brush does: all four channels 255 on the object, 0 elsewhere."""
    height, width = rle.size
    runs = encode(np.ascontiguousarray(decode(rle).T)).counts.astype(np.int64) * _CHANNELS
    values = np.arange(runs.size) % 2 * 255
    # A run above the longest length becomes several.
    parts = -(-runs // _LONGEST)
    values = np.repeat(values, parts)
    lengths = np.full(values.size, _LONGEST)
    ends = np.cumsum(parts)[parts > 0] - 1
    lengths[ends] = (runs - (parts - 1) * _LONGEST)[parts > 0]
    kind = np.searchsorted(1 << np.array(_SIZES), lengths)
    sizes = np.array(_SIZES)[kind]
    codes = (((1 << 2 | kind) << sizes | lengths - 1) << _VALUE_BITS) | values
    head = 0
    for number, bits in ((_CHANNELS * height * width, 32), (_VALUE_BITS - 1, 5), *((size - 1, 4) for size in _SIZES)):
        head = head << bits | number
    return _joined(np.append([head], codes), np.append([_HEAD_BITS], 1 + 2 + sizes + _VALUE_BITS))


def unpack(code: object, *, size: tuple[int, int]) -> RLE:
    """Read a mask of a picture of (height, width) from a list of bytes: where alpha is at least half opaque.

    Raises:
        AnnotationError: The code is damaged, or of a picture of another size.
    """
    try:
        data = np.asarray(bytearray(code) if isinstance(code, list) else None, np.uint8)
    except (TypeError, ValueError):
        raise _broken("it is not a list of bytes") from None
    bits = _Bits(data)
    total = _CHANNELS * size[0] * size[1]
    if (stated := bits.number(32)) != total:
        raise _broken(f"it holds {stated} values, a picture of {size[1]}x{size[0]} has {total}")
    width = bits.number(5) + 1
    sizes = [bits.number(4) + 1 for _ in range(4)]
    if width != _VALUE_BITS:
        raise _broken(f"its values have {width} bits instead of 8")
    values = np.zeros(total, np.uint8)
    place = 0
    while place < total:
        is_run = bits.number(1)
        end = place + bits.number(sizes[bits.number(2)]) + 1
        if end > total:
            raise _broken("it holds more values than it says")
        values[place:end] = bits.number(width) if is_run else bits.bytes(end - place)
        place = end
    return encode(values[_ALPHA::_CHANNELS].reshape(size) >= 128)


class _Bits:
    """Reads numbers of any width, one after the other."""

    def __init__(self, data: NDArray[np.uint8]) -> None:
        self._bits = np.unpackbits(data)
        self._text = data.tobytes()
        self._place = 0

    def number(self, width: int) -> int:
        start, end = self._place, self._advance(width)
        first, last = start // 8, -(-end // 8)
        return int.from_bytes(self._text[first:last], "big") >> (8 * last - end) & ((1 << width) - 1)

    def bytes(self, count: int) -> NDArray[np.uint8]:
        start, end = self._place, self._advance(8 * count)
        return np.packbits(self._bits[start:end])

    def _advance(self, width: int) -> int:
        self._place += width
        if self._place > self._bits.size:
            raise _broken("it ends early")
        return self._place


def _joined(codes: NDArray[np.int64], widths: NDArray[np.int64]) -> bytes:
    """Join numbers of the given widths in bits, filled up with zeros to whole bytes."""
    ends = np.cumsum(widths)
    left = np.repeat(ends, widths) - np.arange(ends[-1]) - 1  # bits of its number to the right of each bit
    return np.packbits(np.repeat(codes, widths) >> left & 1).tobytes()


def _broken(why: str) -> AnnotationError:
    return AnnotationError("a brush mask of Label Studio cannot be read", why=why, fix="export the file again")
