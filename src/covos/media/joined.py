"""Find the second of several files that were joined byte by byte, of kinds whose readers end at the first."""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING

from covos.media.apng import PNG
from covos.media.mp4 import mp4_boxes

if TYPE_CHECKING:
    from pathlib import Path

    from covos.media.structure_found import Content

_END_OF_PNG = b"\0\0\0\0IEND\xae\x42\x60\x82"
# Each is too long to lie in pictures by chance.
_BEGINNINGS = (
    b"DKIF\0\0\x20\0",
    bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"),  # ASF
    b"nut/multimedia container\0",
    *(b"FLV\1" + bytes((streams,)) + b"\0\0\0\x09\0\0\0\0" for streams in (0, 1, 4, 5)),
)


def second_file(path: Path) -> int | None:
    """Return the byte at which a second file begins that no reader of this kind reaches; None if there is none.

    Readers of transport streams, Matroska, AVI, GIF and bare streams go on with it.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content[4:8] == b"ftyp":
            return _second_film(content)
        if content[: len(PNG)] == PNG:
            at = content.find(_END_OF_PNG + PNG)
            return None if at < 0 else at + len(_END_OF_PNG)
        for beginning in _BEGINNINGS:
            if content[: len(beginning)] == beginning:
                at = content.find(beginning, len(beginning))
                return None if at < 0 else at
    return None


def _second_film(content: Content) -> int | None:
    """Return where another film's boxes begin; in parts that are sent one after another, each may state its own."""
    begun = None
    for number, (kind, start, _) in enumerate(mp4_boxes(content, len(content))):
        if kind == b"moof":
            return None
        if kind == b"ftyp" and number:
            begun = start
        if kind == b"moov" and begun is not None:
            return begun
    return None
