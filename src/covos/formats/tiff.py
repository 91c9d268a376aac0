"""TIFF pictures of 16 bits, for programs that take sequences of them. They state the kind of their alpha."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from covos.core.files import atomic_path
from covos.core.types import FrameResult
from covos.formats.alpha import AlphaKindFormat, rgba_of
from covos.formats.profile import profile_of

_SHORT, _LONG, _RATIONAL, _BYTES = 3, 4, 5, 7
_CODES = {_SHORT: "H", _LONG: "I", _RATIONAL: "I", _BYTES: "B"}
_STRIP = 1 << 18
"""Bytes of a strip, about: a reader decodes a strip at a time."""
_PREMULTIPLIED, _STRAIGHT = 1, 2
_LEVEL = 3
"""Of deflate: higher ones take several times as long, and save hardly anything of a photograph."""


class TiffFormat(AlphaKindFormat):
    """``tiff/<stem>.tif``: the subject with alpha, 16 bits a sample, without a loss.

    Alpha is straight, with the source's colours under it; or premultiplied as ``tiff=premultiplied``. The file states
    which it is, the pixel aspect, and a colour profile. More than 8 bits of a source are kept. With ``each``, each
    object has a folder.
    """

    name = output = "tiff"
    own_sizes = True
    has_alpha = True
    shape = "a picture a frame"
    picture_suffixes = (".tif", ".tiff")
    bytes_per_pixel = 1.22

    def _add_named(self, name: str, result: FrameResult) -> None:
        premultiplied = self._is_premultiplied
        pixels = rgba_of(self._seen(result), deep=True, premultiplied=premultiplied)
        place = f"{self.output}/{name}" if name else self.output
        path = self._folder.file(f"{place}/{result.frame.stem}.tif")
        aspect, profile = self._info.pixel_aspect, profile_of(self._info.tags)
        write_tiff(path, pixels, premultiplied=premultiplied, pixel_aspect=aspect, profile=profile)


def write_tiff(
    path: Path,
    pixels: NDArray[np.uint16],
    *,
    premultiplied: bool = False,
    pixel_aspect: Fraction = Fraction(1),
    profile: bytes | None = None,
) -> None:
    """Write a TIFF of 16 bits, with alpha or without, whole or not at all.

    By TIFF 6.0 (Adobe, 1992): little-endian, deflate, differences of neighbours. Pillow writes no such colours, OpenCV
    states no kind of alpha, and FFmpeg states straight alone.

    Args:
        path: The file.
        pixels: H x W x 3 or 4 uint16, full range.
        premultiplied: True if the colours are multiplied by the alpha, the fourth sample.
        pixel_aspect: Width of a pixel by its height.
        profile: The colour profile (ICC.1) that the file states; None for none.
    """
    height, width, samples = pixels.shape
    rows = max(1, _STRIP // (width * 2 * samples))
    coded = pixels.astype("<u2")
    coded[:, 1:] -= pixels[:, :-1]  # around 65536, as the reader adds them
    strips = [zlib.compress(coded[at : at + rows].tobytes(), _LEVEL) for at in range(0, height, rows)]
    sizes = [len(each) for each in strips]
    aspect = pixel_aspect.limit_denominator(1 << 16)
    starts = [8 + sum(sizes[:at]) for at in range(len(sizes))]
    fields: list[tuple[int, int, Sequence[int]]] = [
        (256, _LONG, [width]),
        (257, _LONG, [height]),
        (258, _SHORT, [16] * samples),
        (259, _SHORT, [8]),  # deflate
        (262, _SHORT, [2]),  # RGB
        (273, _LONG, starts),
        (277, _SHORT, [samples]),
        (278, _LONG, [rows]),
        (279, _LONG, sizes),
        (282, _RATIONAL, [aspect.denominator, 1]),
        (283, _RATIONAL, [aspect.numerator, 1]),
        (284, _SHORT, [1]),  # the samples of a pixel lie together
        (296, _SHORT, [1]),  # resolution: a ratio, of no unit
        (317, _SHORT, [2]),  # differences of neighbours
    ]
    if samples == 4:
        fields.append((338, _SHORT, [_PREMULTIPLIED if premultiplied else _STRAIGHT]))
    if profile is not None:
        fields.append((34675, _BYTES, profile))
    content = b"".join(strips)
    content += bytes(len(content) % 2)
    place = 8 + len(content)
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"II*\0" + struct.pack("<I", place) + content + _directory(fields, place=place))


def _directory(fields: list[tuple[int, int, Sequence[int]]], *, place: int) -> bytes:
    """Return the directory of a file, and behind it the values that do not fit into it."""
    entries, behind = struct.pack("<H", len(fields)), b""
    start = place + 2 + 12 * len(fields) + 4
    for tag, kind, values in fields:
        packed = struct.pack(f"<{len(values)}{_CODES[kind]}", *values)
        count = len(values) // 2 if kind == _RATIONAL else len(values)
        if len(packed) > 4:
            packed, behind = struct.pack("<I", start + len(behind)), behind + packed
        entries += struct.pack("<HHI", tag, kind, count) + packed.ljust(4, b"\0")
    return entries + bytes(4) + behind
