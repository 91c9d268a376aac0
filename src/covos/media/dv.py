"""Walk through bare DV (IEC 61834, SMPTE 314M and 370M): frames of one size, of blocks that state their places."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from covos.media.structure_found import MOST_BREAKS, Content, Structure

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FIRST_BLOCK = re.compile(rb"\x1f\x07\x00[\x3f\xbf]")
_BLOCK = 80
_IN_SEQUENCE = 150
_CHANNELS = {0x04: 2, 0x18: 2, 0x14: 4}
"""Channels by the type of the signal: DVCPRO50, 720 lines, 1080 lines; all others have one."""
_TYPE = 5 * _BLOCK + 51
"""Offset in a frame of the type of the signal."""
_LARGEST = 4 * 12 * _IN_SEQUENCE * _BLOCK
_SEARCHED = 8 * _LARGEST
"""Bytes at the beginning among which a whole frame is looked for."""


def dv(content: Content) -> Structure:
    """Look at each frame's blocks, from the first whole frame on. Anything else gives an empty finding.

    Readers step by the size of a frame, and the decoder takes whatever stands there. Only the blocks show that bytes
    were overwritten, and only the file's size that bytes are gone.
    """
    first = next((at for at in _beginnings(content) if _is_whole(content, at)), None)
    if first is None:
        return Structure()
    unit = _frame_size(content, first)
    count, rest = divmod(len(content), unit)
    breaks = [at for at in range(first % unit, len(content) - unit + 1, unit) if not _is_whole(content, at, unit=unit)]
    return Structure(cut=rest > 0, breaks=tuple(breaks[:MOST_BREAKS]), frames=count + (rest > 0), is_total=False)


def _beginnings(content: Content) -> list[int]:
    return [found.start() for found in _FIRST_BLOCK.finditer(content, 0, min(len(content), _SEARCHED))]


def _sequences(content: Content, at: int) -> int:
    return 12 if content[at + 3] & 0x80 else 10


def _frame_size(content: Content, at: int) -> int:
    """Return the bytes of a frame of 525 or 625 lines, by its own header."""
    return _CHANNELS.get(content[at + _TYPE] & 0x1F, 1) * _sequences(content, at) * _IN_SEQUENCE * _BLOCK


def _is_whole(content: Content, at: int, *, unit: int | None = None) -> bool:
    """Return True if all blocks of a frame stand where they state it."""
    if at + _TYPE >= len(content):
        return False
    unit = unit or _frame_size(content, at)
    frame = np.frombuffer(content[at : at + unit], np.uint8)
    if len(frame) < unit:
        return False
    ids = frame.reshape(-1, _IN_SEQUENCE, _BLOCK)
    numbers = np.arange(len(ids)) % _sequences(content, at)
    return bool(
        (ids[:, :, 0] >> 5 == _SECTIONS).all()
        and (ids[:, :, 2] == _NUMBERS).all()
        and (ids[:, :, 1] >> 4 == numbers[:, None]).all()
    )


def _places() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the section and the number in it of each block of a sequence."""
    # Nine times one block of sound and fifteen of the picture.
    mixed = [(4, each - each // 16 - 1) if each % 16 else (3, each // 16) for each in range(9 * 16)]
    sections, numbers = zip((0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2), *mixed, strict=True)
    return np.array(sections, np.uint8), np.array(numbers, np.uint8)


_SECTIONS, _NUMBERS = _places()
