"""Videos of pictures, written by PyAV directly, so that no code under test is used."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray


def write_clip(path: Path, pictures: Iterable[NDArray[np.uint8]], *, rate: Fraction | int = 25, **options: str) -> Path:
    """Write H x W x 3 uint8 RGB pictures as H.264, with options of x264, and return the path."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(rate), options=options)
        stream.pix_fmt = "yuv420p"
        for index, picture in enumerate(pictures):
            if not index:
                stream.height, stream.width = picture.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def bright_clip(path: Path, *, frames: int = 8, height: int = 48, width: int = 64, rate: Fraction | int = 25) -> Path:
    """Write a clip of a bright square that moves over dark noise."""
    noise = np.random.default_rng(0).integers(0, 60, (height, width, 3), dtype=np.uint8)

    def picture(index: int) -> np.ndarray:
        image = noise.copy()
        left = (2 * index) % max(1, width - 16)
        image[height // 4 : height // 4 + 16, left : left + 16] = (230, 200, 40)
        return image

    return write_clip(path, map(picture, range(frames)), rate=rate, crf="12")


def write_combed(path: Path) -> Path:
    """Write a bright block that moves; odd rows show it half a frame later, and no frame is flagged as interlaced."""
    pictures = np.full((6, 64, 96, 3), 40, np.uint8)
    for index, picture in enumerate(pictures):
        for row in range(16, 48):
            left = 8 + 8 * index + 4 * (row % 2)
            picture[row, left : left + 20] = 230
    return write_clip(path, pictures, qp="4")
