"""The colours that red, green and blue stand for as a colour profile (ICC.1), which files state."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from covos.core.types import Tags
from covos.media.primaries import BT709, CHROMATICITIES, adaptation, known_primaries, to_xyz

# Whoever looks for sRGB by its name, as covos does, finds it in that of BT.709 alone.
_NAMES = {BT709: "sRGB", 5: "BT.601, 625 lines", 6: "BT.601, 525 lines", 9: "BT.2020", 11: "DCI-P3", 12: "Display P3"}
_NAMES[7] = _NAMES[6]
_D50 = np.array([0.9642, 1.0, 0.8249])
"""White of the space in which profiles say what colours are."""
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
"""IEC 61966-2-1, as the parameters g, a, b, c, d of ICC.1: (a x + b)^g, and c x below d."""


def profile_of(tags: Tags) -> bytes:
    """Return the colour profile of a source's frames: its primaries, with the curve of sRGB.

    It is the curve by which covos takes them to light (see `covos.media.srgb`), and that viewers take for pictures.
    """
    return _profile(known_primaries(tags))


@cache
def _profile(primaries: int) -> bytes:
    """Return a profile of version 4.3 of ICC.1, for displays: three colours and their curve."""
    colours, white = to_xyz(CHROMATICITIES[primaries])
    adapted = adaptation(white, _D50)
    curve = b"para" + bytes(4) + struct.pack(">HH", 3, 0) + _fixed(_SRGB_CURVE)
    parts = {
        b"desc": _text(_NAMES[primaries]),
        b"cprt": _text("No copyright, use freely"),
        b"wtpt": _xyz(_D50),
        b"chad": b"sf32" + bytes(4) + _fixed(adapted.ravel()),
        **{name: _xyz(colour) for name, colour in zip((b"rXYZ", b"gXYZ", b"bXYZ"), (adapted @ colours).T, strict=True)},
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve),
    }
    content, table, places = b"", b"", dict[bytes, int]()
    start = 128 + 4 + 12 * len(parts)
    for name, part in parts.items():
        if part not in places:  # the three curves are one
            places[part] = start + len(content)
            content += part + bytes(-len(part) % 4)
        table += name + struct.pack(">II", places[part], len(part))
    head = struct.pack(
        ">I4xI4s4s4s6H4s24xI",
        start + len(content),
        0x04300000,
        b"mntr",
        b"RGB ",
        b"XYZ ",
        2026,
        1,
        1,
        0,
        0,
        0,
        b"acsp",
        0,
    )
    head += _fixed(_D50)
    return head.ljust(128, b"\0") + struct.pack(">I", len(parts)) + table + content


def _text(text: str) -> bytes:
    coded = text.encode("utf-16-be")
    return b"mluc" + bytes(4) + struct.pack(">II4sII", 1, 12, b"enUS", len(coded), 28) + coded


def _xyz(values: NDArray[np.float64]) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(values)


def _fixed(values: Iterable[float]) -> bytes:
    """Return numbers as 32 bits, 16 of them behind the point."""
    return b"".join(struct.pack(">i", round(float(value) * 65536)) for value in values)
