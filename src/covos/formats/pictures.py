"""Formats with a picture a frame: ``matte`` (soft and grey) and ``rgba`` (the subject with alpha)."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from covos.core.errors import UsageError
from covos.core.files import atomic_path
from covos.core.types import FrameResult, ProbabilityArray
from covos.formats.base import Bits, Format
from covos.formats.compose import ComposedResult


def write_png(path: Path, pixels: NDArray[Any]) -> None:
    """Write pixels as they are, whole or not at all: grey (uint8 or uint16), RGB, or RGBA with straight alpha."""
    with atomic_path(path) as temporary:
        # Alpha is mostly runs of equal bytes, and the detail of a photograph has no repeats to look for: searching
        # only for runs is faster and gives files of the same size.
        Image.fromarray(np.ascontiguousarray(pixels)).save(temporary, format="PNG", compress_type=zlib.Z_RLE)


def grey_levels(probability: ProbabilityArray, *, bits: Bits) -> NDArray[Any]:
    """Round a probability to H x W uint8 or, of 16 bits, uint16."""
    if bits == 16:
        return np.asarray(np.rint(probability * np.float32(65535)), np.uint16)
    return np.asarray(cv2.convertScaleAbs(probability, alpha=255), np.uint8)  # saturates and rounds in one pass


class MatteFormat(Format):
    """``matte/<stem>.png``: the probability that each pixel belongs to the subject, as computed; white is certain.

    8 bits, or 16 as ``matte=16``.
    """

    name = output = "matte"
    shape = "a picture a frame"

    @classmethod
    def check_value(cls, value: str) -> None:
        """Accept ``8`` and ``16`` bits."""
        if value not in {"8", "16"}:
            raise UsageError(f"matte={value}", why="a matte has 8 or 16 bits", fix="write matte or matte=16")

    @classmethod
    def bits_of(cls, value: str | None) -> Bits:
        """Return the value."""
        return 16 if value == "16" else 8

    @classmethod
    def size_of(cls, value: str | None) -> float:
        """Return a size for 16 bits; 8 bits are small."""
        return 0.53 if value == "16" else 0.0

    def _add(self, result: FrameResult) -> None:
        grey = grey_levels(result.probability, bits=self.bits_of(self._value))
        write_png(self._folder.file(f"{self.output}/{result.frame.stem}.png"), grey)


class RgbaFormat(Format):
    """``rgba/<stem>.png``: the subject with straight alpha.

    Under the alpha lie the source's colours: whoever softens or grows it finds them there.
    """

    name = output = "rgba"
    shape = "a picture a frame"
    bytes_per_pixel = 0.68

    def _add(self, result: FrameResult) -> None:
        write_png(self._folder.file(f"{self.output}/{result.frame.stem}.png"), ComposedResult.of(result).rgba)
