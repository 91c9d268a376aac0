"""Run-length code of binary masks, as in COCO: column by column, background first.

Both forms of COCO are read, and the second is written: a list of counts, and the compressed string of ``pycocotools``
(``maskApi.c`` of the COCO API, ``rleToString``). From the third count on, the string holds the difference to the count
two before: objects have edges of similar length in neighbouring columns. Each number is cut into groups of 5 bits,
lowest first, in two's complement; a group is one character: 48 + group, + 32 if more groups follow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.errors import AnnotationError, UsageError
from covos.core.shown import short_repr

if TYPE_CHECKING:
    from covos.core.types import MaskArray

_GROUPS = 8  # 40 bits: more than any difference of two 32-bit counts needs


def _compress(counts: NDArray[np.uint32]) -> str:
    """Write run lengths as a compressed string."""
    numbers = counts.astype(np.int64)
    numbers[3:] -= counts[1:-2].astype(np.int64)
    rest = numbers[:, None] >> (5 * np.arange(_GROUPS + 1))  # column g: what is left before group g is written
    group = rest[:, :-1] & 31
    # The last group is the first after which only the sign is left, and which carries that sign in its own high bit.
    after, sign = rest[:, 1:], group & 16
    last = np.argmax(((after == 0) & (sign == 0)) | ((after == -1) & (sign != 0)), axis=1)
    position = np.arange(_GROUPS)
    characters = group + 48 + 32 * (position < last[:, None])
    return bytes(characters[position <= last[:, None]].astype(np.uint8)).decode("ascii")


def _decompress(text: str) -> NDArray[np.int64]:
    """Read the run lengths of a compressed string. They are not checked to fit any size."""
    characters = np.frombuffer(text.encode("latin-1", "replace"), np.uint8).astype(np.int64) - 48
    if not characters.size:
        return np.zeros(0, np.int64)
    if characters.min() < 0 or characters.max() > 63:
        raise _broken("it holds a character that is not of the code", of="compressed run-length string")
    last = np.flatnonzero(characters < 32)
    if not last.size or last[-1] != characters.size - 1:
        raise _broken("it ends inside a number", of="compressed run-length string")
    first = np.concatenate(([0], last[:-1] + 1))
    length = last - first + 1
    if length.max() > _GROUPS:
        raise _broken("a number is too long", of="compressed run-length string")
    shift = 5 * (np.arange(characters.size) - np.repeat(first, length))
    numbers = np.add.reduceat((characters & 31) << shift, first)
    numbers -= np.where(characters[last] & 16, np.int64(1) << (5 * length), 0)
    # Undo "minus the count two before" for both parities at once; count 0 is never a predecessor.
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return numbers


@dataclass(frozen=True, kw_only=True, eq=False)
class RLE:
    """A binary mask as run lengths.

    Two are equal if they hold the same mask in its shortest form, which :func:`encode` and :meth:`from_coco` make.

    Attributes:
        size: (height, width) in pixels.
        counts: Lengths of the runs, down the columns, from left to right: background, object, background ...
            Only the first may be 0. uint32, read-only; their sum is height x width.
    """

    size: tuple[int, int]
    counts: NDArray[np.uint32]

    __repr__ = short_repr

    def __post_init__(self) -> None:
        self.counts.flags.writeable = False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RLE) and self.size == other.size and np.array_equal(self.counts, other.counts)

    def __hash__(self) -> int:
        return hash((self.size, self.counts.tobytes()))

    @property
    def area(self) -> int:
        """Pixels of the object."""
        return int(self.counts[1::2].sum(dtype=np.int64))

    @cached_property
    def bbox(self) -> tuple[int, int, int, int]:
        """(x, y, width, height) of the smallest box around the object, in pixels; all 0 without an object."""
        ends = np.cumsum(self.counts, dtype=np.int64)
        starts, lasts = ends[:-1:2], ends[1::2] - 1
        if not starts.size:
            return 0, 0, 0, 0
        height = self.size[0]
        left, right = int(starts[0]) // height, int(lasts[-1]) // height
        if np.any(starts // height != lasts // height):  # a run over a column's end touches its bottom and the next top
            top, bottom = 0, height - 1
        else:
            top, bottom = int((starts % height).min()), int((lasts % height).max())
        return left, top, right - left + 1, bottom - top + 1

    def to_coco(self) -> dict[str, Any]:
        """Return the mask for a COCO file: ``{"size": [height, width], "counts": compressed string}``."""
        return {"size": list(self.size), "counts": _compress(self.counts)}

    @classmethod
    def from_coco(cls, value: Mapping[str, Any]) -> RLE:
        """Read a mask of a COCO file, compressed (str or bytes) or not (a list of counts)."""
        size, raw = value.get("size"), value.get("counts")
        if not isinstance(size, Sequence) or len(size) != 2 or not all(isinstance(n, int) and n > 0 for n in size):
            raise _broken(f"its size is {size!r}, not [height, width]")
        if isinstance(raw, str | bytes):
            counts = _decompress(raw if isinstance(raw, str) else raw.decode("latin-1"))
        elif isinstance(raw, Sequence) and all(isinstance(n, int) and 0 <= n < 1 << 32 for n in raw):
            counts = np.array(raw, np.int64)
        else:
            raise _broken("its counts are neither a string nor a list of whole numbers from 0 up")
        height, width = int(size[0]), int(size[1])
        pixels = height * width
        if pixels >= 1 << 32 or not counts.size or counts.min() < 0 or counts.max() > pixels or counts.sum() != pixels:
            raise _broken(
                f"its runs do not add up to its size, {height} x {width}: "
                f"they have {int(counts.sum()):,} pixels, and not {pixels:,}"
            )
        return cls(size=(height, width), counts=_shortest(counts).astype(np.uint32))


def encode(mask: MaskArray) -> RLE:
    """Encode a binary mask, H x W bool, with at least one pixel; anything else is a UsageError."""
    if mask.dtype != np.bool_ or mask.ndim != 2 or mask.size == 0:
        raise UsageError(
            f"mask must be H x W bool, not {mask.shape} {mask.dtype}",
            why="each pixel is of the object or is not",
            fix="threshold it first: mask > 0.5",
        )
    height, width = mask.shape
    # Changes of the value down a column, found row by row: no transposed copy, and the few changes are sorted. Only the
    # box around the object is looked at, with the rows above and below: most of a mask is background.
    left, top, across, down = cv2.boundingRect(mask.view(np.uint8))
    above = max(top - 1, 0)
    part = mask[above : top + down + 1, left : left + across]
    row, column = np.divmod(np.flatnonzero(part[1:] != part[:-1]), max(across, 1))
    within = (left + column) * height + above + row + 1
    between = (np.flatnonzero(mask[0, 1:] != mask[-1, :-1]) + 1) * height
    changes = np.sort(np.concatenate((within, between)))
    first = [0, 0] if mask[0, 0] else [0]
    return RLE(size=(height, width), counts=np.diff(changes, prepend=first, append=height * width).astype(np.uint32))


def decode(rle: RLE) -> MaskArray:
    """Decode a mask to H x W bool."""
    height, width = rle.size
    values = np.zeros(len(rle.counts), np.uint8)
    values[1::2] = 1
    columns = np.repeat(values, rle.counts).reshape(width, height)
    return cv2.transpose(columns).view(np.bool_)


def _shortest(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Join the neighbours of empty runs: 3 0 2 is one run of 5."""
    value = np.arange(counts.size) % 2
    used = counts > 0
    counts, value = counts[used], value[used]
    start = np.flatnonzero(np.diff(value, prepend=-1))
    joined = np.add.reduceat(counts, start)
    return joined if value[0] == 0 else np.concatenate(([0], joined))


def _broken(why: str, *, of: str = "run-length mask") -> AnnotationError:
    return AnnotationError(f"a {of} cannot be read", why=why, fix="export the COCO file again")
