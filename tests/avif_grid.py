"""Make a tiled AVIF, as phones write them: pictures that Pillow codes, one beside the other in a grid item."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


def full(kind: bytes, content: bytes, *, version: int = 0, flags: int = 0) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags) + content)


def tiled_avif(image: NDArray[np.uint8], *, rows: int, columns: int) -> bytes:
    """Code H x W x 3 RGB as rows x columns tiles of one size (ISO/IEC 23008-12, section 6.6.2.3)."""
    height, width = image.shape[0] // rows, image.shape[1] // columns
    coded = [
        _coded(image[row * height : (row + 1) * height, column * width : (column + 1) * width])
        for row in range(rows)
        for column in range(columns)
    ]
    count = len(coded)
    whole, tiles = count + 1, range(1, count + 1)
    grid = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, image.shape[1], image.shape[0])
    config = coded[0][0]
    pixels = full(b"pixi", bytes([3, 8, 8, 8]))
    properties = box(b"ipco", _extent(width, height) + config + _extent(image.shape[1], image.shape[0]) + pixels)
    owned = b"".join(struct.pack(">HBBBB", item, 3, 1, 0x80 | 2, 4) for item in tiles)
    owned += struct.pack(">HBBB", whole, 2, 3, 4)
    items = b"".join(full(b"infe", struct.pack(">HH", item, 0) + b"av01\0", version=2, flags=1) for item in tiles)
    items += full(b"infe", struct.pack(">HH", whole, 0) + b"grid\0", version=2)
    refers = box(b"dimg", struct.pack(f">HH{count}H", whole, count, *tiles))

    def meta(start: int) -> bytes:
        places = b""
        for item, (_, data) in zip(tiles, coded, strict=True):
            places += struct.pack(">HHHHII", item, 0, 0, 1, start, len(data))
            start += len(data)
        places += struct.pack(">HHHHII", whole, 1, 0, 1, 0, len(grid))  # in idat
        return full(
            b"meta",
            full(b"hdlr", struct.pack(">I4s12x", 0, b"pict") + b"\0")
            + full(b"pitm", struct.pack(">H", whole))
            + full(b"iloc", struct.pack(">HH", 0x4400, count + 1) + places, version=1)
            + full(b"iinf", struct.pack(">H", count + 1) + items)
            + full(b"iref", refers)
            + box(b"iprp", properties + full(b"ipma", struct.pack(">I", count + 1) + owned))
            + box(b"idat", grid),
        )

    head = box(b"ftyp", b"avif\0\0\0\0avifmif1miaf")
    start = len(head) + len(meta(0)) + 8
    return head + meta(start) + box(b"mdat", b"".join(data for _, data in coded))


def _extent(width: int, height: int) -> bytes:
    return full(b"ispe", struct.pack(">II", width, height))


def _coded(tile: NDArray[np.uint8]) -> tuple[bytes, bytes]:
    """Return the configuration box of a picture, and its coded bytes."""
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(tile)).save(file, "AVIF", quality=95, subsampling="4:4:4", codec="auto")
    content = file.getvalue()
    at = content.index(b"av1C") - 4
    config = content[at : at + int.from_bytes(content[at : at + 4], "big")]
    data = content.index(b"mdat") + 4
    return config, content[data : data - 8 + int.from_bytes(content[data - 8 : data - 4], "big")]


def smooth(height: int, width: int, shades: Sequence[int] = (40, 220)) -> NDArray[np.uint8]:
    """A picture without noise, every place of which looks different."""
    y, x = np.mgrid[:height, :width]
    low, high = shades
    ramp = low + (high - low) * np.stack([x / width, y / height, (x + y) / (width + height)], -1)
    return ramp.astype(np.uint8)
