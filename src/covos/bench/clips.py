"""A clip to measure with: a disc that moves before a scene that a camera pans over."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from covos.core.types import ImageArray, MaskArray
from covos.masks import write_label_map
from covos.media.writer import VideoWriter

RATE = Fraction(25)


def make_clip(path: Path, *, frames: int, size: tuple[int, int]) -> Path:
    """Write a clip, and beside it the mask of the disc in its first frame; return the mask's path.

    Args:
        path: An ``.mp4``.
        frames: Number of frames.
        size: (height, width).
    """
    height, width = size
    rng = np.random.default_rng(0)
    scene = _texture(rng, (height, 2 * width))
    skin = _texture(rng, size)[..., ::-1]
    with VideoWriter(path, height=height, width=width, time_base=1 / RATE, frame_rate=RATE) as writer:
        for index in range(frames):
            left = round(abs(index * 2 % (2 * width) - width))
            image = scene[:, left : left + width].copy()
            disc = _disc(index, size)
            image[disc] = skin[disc]
            writer.write(image, pts=index)
    mask = path.with_suffix(".png")
    write_label_map(mask, _disc(0, size).astype(np.uint8))
    return mask


def _texture(rng: np.random.Generator, size: tuple[int, int]) -> ImageArray:
    """Noise of many scales, as natural scenes have it: codecs and flow find something to do in it."""
    height, width = size
    total = np.zeros((height, width, 3), np.float32)
    for step in (64, 16, 4):
        cells = rng.random((height // step + 2, width // step + 2, 3), np.float32)
        total += step * np.asarray(cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)
    return np.asarray(cv2.normalize(total, None, 20, 235, cv2.NORM_MINMAX, cv2.CV_8U), np.uint8)  # type: ignore[call-overload]


def _disc(index: int, size: tuple[int, int]) -> MaskArray:
    height, width = size
    radius = height / 5
    reach = width - 4 * radius
    x = 2 * radius + (abs((index * 3) % (2 * reach) - reach) if reach > 0 else 0)
    rows, columns = np.ogrid[:height, :width]
    return np.asarray((rows - height / 2) ** 2 + (columns - x) ** 2 < radius**2)
