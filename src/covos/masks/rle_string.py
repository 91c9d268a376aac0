"""The compressed string of COCO's run-length code.

From the third count on, what is written is the difference to the count two before (objects have edges of similar
length in neighbouring columns). Each number is cut into groups of 5 bits, lowest first, in two's complement; a group
is one character: 48 + group, + 32 if more groups follow. (``maskApi.c`` of the COCO API, ``rleToString``.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from covos.errors import AnnotationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GROUPS = 8  # 40 bits: more than any difference of two 32-bit counts needs


def compress(counts: NDArray[np.uint32]) -> str:
    """The string of a list of run lengths.

    Args:
        counts: One run length each, uint32.
    """
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


def decompress(text: str) -> NDArray[np.int64]:
    """The run lengths of a string. They are not checked to fit any size.

    Raises:
        AnnotationError: A character is foreign, a number is too long, or the string ends inside a number.
    """
    characters = np.frombuffer(text.encode("latin-1", "replace"), np.uint8).astype(np.int64) - 48
    if not characters.size:
        return np.zeros(0, np.int64)
    if characters.min() < 0 or characters.max() > 63:
        raise _broken("it holds a character that is not of the code")
    last = np.flatnonzero(characters < 32)
    if not last.size or last[-1] != characters.size - 1:
        raise _broken("it ends inside a number")
    first = np.concatenate(([0], last[:-1] + 1))
    length = last - first + 1
    if length.max() > _GROUPS:
        raise _broken("a number is too long")
    shift = 5 * (np.arange(characters.size) - np.repeat(first, length))
    numbers = np.add.reduceat((characters & 31) << shift, first)
    numbers -= np.where(characters[last] & 16, np.int64(1) << (5 * length), 0)
    # Undo "minus the count two before" for both parities at once; count 0 is never a predecessor.
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return numbers


def _broken(why: str) -> AnnotationError:
    return AnnotationError("a compressed run-length string cannot be read", why=why, fix="export the COCO file again")
