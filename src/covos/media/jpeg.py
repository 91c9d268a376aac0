"""Look inside JPEG files: where their parts begin, and if the picture in them is whole."""

from __future__ import annotations

import io
import mmap
import re
from typing import TYPE_CHECKING, BinaryIO

import av

from covos.core.memory import refuse_shortage

if TYPE_CHECKING:
    from pathlib import Path

START, END = b"\xff\xd8\xff", b"\xff\xd9"
_ZEROS = re.compile(rb"\0*")
_SIZES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})  # markers of the segments that state the size
_RUN = bytes(64)
_LUMA, _END_OF_BLOCK = 0x10, 0
_MOST_SEGMENTS = 5000
"""Segments before a scan; profiles and depth maps of a large photograph take hundreds of them."""
_MOST_STARTS = 1000
"""Places behind a damaged photograph at which another may begin; a file made to take time may have any number."""
_STRICT = {"err_detect": "explode+crccheck+bitstream"}


def is_damaged(content: bytes) -> bool:
    """Return True if a JPEG that can be decoded holds damage, which most decoders paint over without a word.

    FFmpeg's decoder looks, strict and then tolerant. A kind that neither takes (arithmetic coding, say) is not judged.
    """
    return _holds_zeros(content) or (not _decodes(content, _STRICT) and _decodes(content, {}))


def completed(file: BinaryIO) -> BinaryIO:
    """Return an open JPEG as it is, or with the mark of its end if that is all that it lacks."""
    place = file.tell()
    head = file.read(len(START))
    file.seek(-len(END), io.SEEK_END)
    tail = file.read()
    file.seek(place)
    if head != START or tail == END:
        return file
    content = file.read()
    file.seek(place)
    _, scan = size_and_scan(content, 0)
    if content.find(END, scan) < 0 and _decodes(content + END, _STRICT):
        return io.BytesIO(content + END)
    return file


def _holds_zeros(content: bytes) -> bool:
    """Return True if zeros lie in a scan that cannot hold them, though they can be decoded.

    The code of zeros alone stands for the first symbol of a table. Only if that one ends a block can many follow each
    other in a picture; where it is a coefficient, every block would be full of them.
    """
    _, scan = size_and_scan(content, 0)
    tables, place = content[:scan], 0
    if scan >= len(content) or b"\xff\xc2" in tables or content.find(_RUN, scan, content.rfind(END)) < 0:
        return False
    firsts = []
    while (place := tables.find(b"\xff\xc4", place)) >= 0:
        end, at = place + 2 + int.from_bytes(tables[place + 2 : place + 4], "big"), place + 4
        while at + 17 < end:
            if tables[at] == _LUMA:
                firsts.append(tables[at + 17])
            at += 17 + sum(tables[at + 1 : at + 17])
        place += 2
    return bool(firsts) and _END_OF_BLOCK not in firsts


def _decodes(content: bytes, options: dict[str, str]) -> bool:
    decoder = av.CodecContext.create("mjpeg", "r")
    decoder.thread_count, decoder.options = 1, options
    try:
        return bool([*decoder.decode(av.Packet(content)), *decoder.decode(None)])
    except (av.FFmpegError, ValueError) as error:
        refuse_shortage(error)
        return False


def is_motion_jpeg(path: Path) -> bool:
    """Return True if a second photograph of the same size follows the first: previews and gain maps are smaller.

    Behind a first one that is damaged, it may follow anywhere.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        first, scan = size_and_scan(content, 0)
        end = content.find(END, scan)
        while end >= 0:
            # Some programs fill up with zeros.
            filled = _ZEROS.match(content, end + 2)
            at = filled.end() if filled else end + 2
            if content[at : at + 3] == START:
                if size_and_scan(content, at)[0] == first:
                    return True
                break
            end = content.find(END, end + 2)
            if at < len(content):
                break  # something else follows: a film, a program's own data
        at = content.find(START, scan)
        for _ in range(_MOST_STARTS):
            if at < 0:
                break
            if size_and_scan(content, at)[0] == first:
                return not _decodes(content[:at], _STRICT)
            at = content.find(START, at + 1)
        return False


def size_and_scan(content: mmap.mmap | bytes, start: int) -> tuple[bytes, int]:
    """Return the height and width of the photograph at a place, as stored, and where its first scan begins."""
    at, size = start + 2, b""
    for _ in range(_MOST_SEGMENTS):
        marker = content[at + 1 : at + 2]
        if content[at : at + 1] != b"\xff" or marker in {b"", b"\xda"}:
            break
        if marker[0] in _SIZES:
            size = content[at + 5 : at + 9]
        at += 1 if marker == b"\xff" else 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return size, at
