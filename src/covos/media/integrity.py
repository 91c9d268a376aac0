"""Is a file as long as its own header says? Read from the outermost structure, without decoding."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_EBML = b"\x1a\x45\xdf\xa3"
_MATROSKA_SEGMENT = b"\x18\x53\x80\x67"
_GIF_TRAILER = b";"
_MP4_FIRST = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")


def is_cut(path: Path) -> bool:
    """Whether the file ends before the size that its container states.

    Knows MP4/MOV boxes, Matroska/WebM segments, RIFF (AVI) and the end mark of GIF; says False where it cannot
    tell, as for streams without a size (MPEG-TS, live WebM).
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(12)
        if start[4:8] in _MP4_FIRST:
            return any(end > size for _, end in _mp4_boxes(file, size))
        if start[:4] == _EBML:
            return _matroska_end(file) > size
        if start[:4] == b"RIFF":
            return int.from_bytes(start[4:8], "little") + 8 > size
        if start[:4] == b"GIF8":
            file.seek(max(0, size - 16))
            return not file.read().rstrip(b"\x00").endswith(_GIF_TRAILER)
    return False


def lacks_moov(path: Path) -> bool:
    """Whether this is an MP4/MOV without its index (``moov``), as left by a recording that was cut off."""
    with path.open("rb") as file:
        if file.read(12)[4:8] not in _MP4_FIRST:
            return False
        return all(kind != b"moov" for kind, _ in _mp4_boxes(file, path.stat().st_size))


def _mp4_boxes(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int]]:
    """(type, end offset) of each top-level box (ISO/IEC 14496-12, 4.2)."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        header = file.read(16)
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if not kind.isalnum():
            return  # padding or rubbish after the last box
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        elif length == 0:
            length = size - at
        if length < 8:
            return
        at += length
        yield kind, at


def _matroska_end(file: BinaryIO) -> int:
    """Offset at which the segment ends, 0 where it has no stated size (RFC 8794, RFC 9559)."""
    file.seek(4)
    head_size = _variable_int(file)
    if head_size is None:
        return 0
    file.seek(head_size, os.SEEK_CUR)
    if file.read(4) != _MATROSKA_SEGMENT:
        return 0
    size = _variable_int(file)
    return 0 if size is None else file.tell() + size


def _variable_int(file: BinaryIO) -> int | None:
    """An EBML element size; None for "unknown" (all ones) and at the end of the file."""
    first = file.read(1)
    if not first or first[0] == 0:
        return None
    length = 9 - first[0].bit_length()
    value = int.from_bytes(first + file.read(length - 1), "big") & ((1 << 7 * length) - 1)
    return None if value == (1 << 7 * length) - 1 else value
