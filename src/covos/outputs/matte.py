"""``matte``: a soft grey PNG a frame, ``matte/<stem>.png``; ``matte=16`` with 16 bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.errors import UsageError
from covos.outputs.folder import OutputFolder
from covos.outputs.pictures import PictureOutput
from covos.types import FrameResult, SourceInfo


class MatteWriter(PictureOutput):
    """The probability that each pixel belongs to the subject, as computed; white is certain."""

    name = "matte"

    def __init__(self, folder: OutputFolder, *, info: SourceInfo, source_path: Path, value: str | None = None) -> None:
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
