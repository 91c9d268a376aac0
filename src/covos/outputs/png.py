"""Write a PNG whole or not at all."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from covos.runtime.atomic import atomic_path


def write_png(path: Path, pixels: NDArray[Any]) -> None:
    """Write pixels as they are. An existing file is replaced.

    Args:
        path: The file, in an existing folder.
        pixels: H x W uint8 or uint16 (grey), H x W x 3 uint8 (RGB) or H x W x 4 uint8 (RGBA, straight alpha).

    Raises:
        EnvironmentProblem: The disk is full or not writable; no half-written file is left.
    """
    with atomic_path(path) as temporary:
        # Alpha is mostly runs of equal bytes, and the detail of a photograph has no repeats to look for: searching
        # only for runs is faster and gives files of the same size.
        Image.fromarray(np.ascontiguousarray(pixels)).save(temporary, format="PNG", compress_type=zlib.Z_RLE)
