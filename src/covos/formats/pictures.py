"""What the formats with a picture a frame share."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from covos.core.errors import UsageError
from covos.core.files import atomic_path
from covos.core.types import FrameResult, SourceInfo
from covos.formats.base import Destination
from covos.formats.compose import ComposedResult

# Write a PNG whole or not at all.


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


class PictureOutput(ABC):
    """PNG files ``<name>/<stem>.png``, named as the frames.

    Each file is whole or absent at any moment, so that a run that stops leaves every earlier frame usable.
    """

    name: ClassVar[str]
    warnings: tuple[str, ...] = ()

    def __init__(self, folder: Destination, *, info: SourceInfo, source_path: Path) -> None:
        self._folder = folder
        self._written = 0

    @abstractmethod
    def picture(self, result: FrameResult) -> NDArray[Any]:
        """The pixels of a frame, as `write_png` takes them."""

    def write(self, result: FrameResult) -> None:
        """Write the frame's picture."""
        write_png(self._folder.file(f"{self.name}/{result.frame.stem}.png"), self.picture(result))
        self._written += 1

    def close(self) -> tuple[Path, ...]:
        """The folder of the pictures."""
        return (self._folder.path / self.name,) if self._written else ()

    def abort(self) -> None:
        """Stop: nothing is open."""
        self._written = 0


# ``matte``: a soft grey PNG a frame, ``matte/<stem>.png``; ``matte=16`` with 16 bits.


class MatteWriter(PictureOutput):
    """The probability that each pixel belongs to the subject, as computed; white is certain."""

    name = "matte"

    def __init__(self, folder: Destination, *, info: SourceInfo, source_path: Path, value: str | None = None) -> None:
        super().__init__(folder, info=info, source_path=source_path)
        self._is_deep = self.bits_of(value) == 16

    @staticmethod
    def bits_of(value: str | None) -> int:
        """How finely the probability is written."""
        return 16 if value == "16" else 8

    @staticmethod
    def check_value(value: str) -> None:
        """Bits: ``8`` or ``16``."""
        if value not in {"8", "16"}:
            raise UsageError(f"matte={value}", why="a matte has 8 or 16 bits", fix="write matte or matte=16")

    def picture(self, result: FrameResult) -> NDArray[Any]:
        """H x W uint8 or uint16."""
        if not self._is_deep:
            return np.asarray(cv2.convertScaleAbs(result.probability, alpha=255), np.uint8)
        return np.asarray(np.rint(result.probability * np.float32(65535)), np.uint16)


# ``rgba``: the subject as a PNG with alpha a frame, ``rgba/<stem>.png``.


class RgbaWriter(PictureOutput):
    """Straight alpha, and the source's colours under it: whoever softens or grows the alpha finds them there."""

    name = "rgba"

    def picture(self, result: FrameResult) -> NDArray[np.uint8]:
        """H x W x 4 uint8."""
        return ComposedResult.of(result).rgba
