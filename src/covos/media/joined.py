"""Find the second of several files that were joined byte by byte, of kinds whose readers end at the first."""

from __future__ import annotations

import mmap
import struct
from itertools import islice
from typing import TYPE_CHECKING

from covos.core.signatures import PNG
from covos.media.apng import END_OF_PNG
from covos.media.asf import ASF
from covos.media.jpeg import END, START, size_and_scan
from covos.media.mp4 import mp4_boxes

if TYPE_CHECKING:
    from pathlib import Path

    from covos.media.structure_found import Content

# Each is too long to lie in pictures by chance.
_BEGINNINGS = (
    b"DKIF\0\0\x20\0",
    ASF,
    b"nut/multimedia container\0",
    *(b"FLV\1" + bytes((streams,)) + b"\0\0\0\x09\0\0\0\0" for streams in (0, 1, 4, 5)),
)
_NAMES_OTHERS = b"MPF\0"  # of the pictures in a file of several (CIPA DC-007)
_BMP_HEADERS = frozenset({12, 40, 52, 56, 64, 108, 124})
_TIFF = (b"II*\0", b"MM\0*")
_TIFF_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_TIFF_NUMBERS = {3: "H", 4: "I", 13: "I"}
_INNER = (330, 34665, 34853)  # directories inside: smaller pictures, EXIF, GPS
_TIFF_PLACES = frozenset({273, 279, 324, 325, *_INNER})
_MOST_DIRECTORIES = 64
_MOST_PIECES = 1 << 17  # strips or tiles of a picture; a file made to take time may state any number
_MOST_BOXES = 1000


def second_file(path: Path) -> int | None:
    """Return the byte at which a second file begins that no reader of this kind reaches; None if there is none.

    Readers of transport streams, Matroska, AVI, GIF and bare streams go on with it.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content[4:8] == b"ftyp":
            return _second_film(content)
        if content[: len(PNG)] == PNG:
            return _second_png(content)
        for beginning in _BEGINNINGS:
            if content[: len(beginning)] == beginning:
                at = content.find(beginning, len(beginning))
                return None if at < 0 else at
    return None


def second_picture(path: Path) -> int | None:
    """Return the byte at which a still picture ends and another of its kind begins; None if there is none.

    Viewers end at the first. A photograph may have pictures of its own behind it, and films: these are no second one.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for beginning, find in (
            (PNG, _second_png),
            (START, _second_photograph),
            (b"RIFF", _second_webp),
            (b"BM", _second_bmp),
            *((kind, _second_tiff) for kind in _TIFF),
        ):
            if content[: len(beginning)] == beginning:
                return find(content)
        return _second_of_boxes(content) if content[4:8] == b"ftyp" else None


def _second_png(content: Content) -> int | None:
    at = content.find(END_OF_PNG + PNG)
    return None if at < 0 else at + len(END_OF_PNG)


def _second_photograph(content: Content) -> int | None:
    """Return where a second JPEG begins that the first does not name, and that is no preview of it."""
    first, scan = size_and_scan(content, 0)
    at = content.find(END, scan) + len(END)
    if at < len(END) or content[at : at + len(START)] != START or content.find(_NAMES_OTHERS, 0, scan) >= 0:
        return None
    second, _ = size_and_scan(content, at)
    is_file = content[at + 6 : at + 10] in (b"JFIF", b"Exif")
    return at if is_file or _area(second) >= _area(first) else None


def _second_webp(content: Content) -> int | None:
    end = 8 + int.from_bytes(content[4:8], "little")
    end += end % 2
    return end if content[end : end + 4] == b"RIFF" and content[end + 8 : end + 12] == b"WEBP" else None


def _second_bmp(content: Content) -> int | None:
    end = int.from_bytes(content[2:6], "little")
    known = int.from_bytes(content[end + 14 : end + 18], "little") in _BMP_HEADERS
    return end if end and content[end : end + 2] == b"BM" and known else None


def _second_tiff(content: Content) -> int | None:
    end = _end_of_tiff(content)
    return next((at for at in (end, end + end % 2) if content[at : at + 4] in _TIFF), None)


def _area(size: bytes) -> int:
    return int.from_bytes(size[:2], "big") * int.from_bytes(size[2:], "big")


def _second_of_boxes(content: Content) -> int | None:
    """Return where another AVIF or HEIC begins; a film behind a photograph has a moov before its meta."""
    begun = None
    for number, (kind, start, _) in enumerate(islice(mp4_boxes(content, len(content)), _MOST_BOXES)):
        if kind == b"ftyp" and number:
            begun = start
        if begun is not None and kind in {b"meta", b"moov"}:
            return begun if kind == b"meta" else None
    return None


def _end_of_tiff(content: Content) -> int:
    """Return the end of what the directories of a TIFF point to (TIFF 6.0, section 2); that of the file if damaged."""
    order = "<" if content[:2] == b"II" else ">"
    places, seen, end = [struct.unpack_from(order + "I", content, 4)[0]], set[int](), 8
    while places and len(seen) < _MOST_DIRECTORIES:
        at = places.pop()
        if at in seen or not 8 <= at <= len(content) - 6:
            continue
        seen.add(at)
        (count,) = struct.unpack_from(order + "H", content, at)
        last = at + 2 + 12 * count
        if last + 4 > len(content):
            return len(content)
        parts: dict[int, tuple[int, ...]] = {}
        for entry in range(at + 2, last, 12):
            tag, kind, number = struct.unpack_from(order + "HHI", content, entry)
            size = _TIFF_SIZES.get(kind, 1) * number
            start = entry + 8 if size <= 4 else struct.unpack_from(order + "I", content, entry + 8)[0]
            if start + size > len(content):
                return len(content)
            end = max(end, start + size)
            if tag in _TIFF_PLACES and kind in _TIFF_NUMBERS and tag not in parts:
                if number > _MOST_PIECES:
                    return len(content)
                parts[tag] = struct.unpack_from(f"{order}{number}{_TIFF_NUMBERS[kind]}", content, start)
        for offsets, sizes in ((273, 279), (324, 325)):
            pairs = zip(parts.get(offsets, ()), parts.get(sizes, ()), strict=False)
            end = max([end, *(start + size for start, size in pairs)])
        end = max(end, last + 4)
        places += [
            struct.unpack_from(order + "I", content, last)[0],
            *(each for tag in _INNER for each in parts.get(tag, ())),
        ]
    return end


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
