"""Write a video of pictures, by PyAV directly, so that no code under test is used."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray


def write_clip(path: Path, pictures: Iterable[NDArray[np.uint8]], *, rate: int = 25, **options: str) -> Path:
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
