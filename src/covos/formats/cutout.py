"""``cutout``: the subject cropped, a PNG with alpha a frame, ``cutout/<stem>.png``, and ``cutout/box.json``.

One box for the whole clip, which holds the subject in every frame: pictures of one size in which the subject moves
as it does in the clip. A box of its own for each frame would be smaller and would jump. Where it lies in the source
is in ``box.json``, so that it can be put back.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.files import atomic_path
from covos.core.types import FrameResult, LabelArray, SourceInfo
from covos.formats.base import Destination
from covos.formats.compose import ComposedResult
from covos.formats.npz import Spool
from covos.formats.pictures import write_png

_MARGIN_PER_DIAGONAL = 1 / 100
Box = tuple[int, int, int, int]
"""left, top, right, bottom in pixels; right and bottom are one further."""


class CutoutWriter:
    """Frames are put aside until the box is known. Outside the subject's own box a frame is transparent black."""

    name = "cutout"
    warnings: tuple[str, ...] = ()

    def __init__(self, folder: Destination, *, info: SourceInfo, source_path: Path) -> None:
        self._folder = folder
        self._size = info.height, info.width
        self._spool: Spool | None = None
        self._frames: list[tuple[str, Box | None]] = []
        self._finished: tuple[Path, ...] = ()

    def write(self, result: FrameResult) -> None:
        """Put the subject of the frame aside."""
        if self._spool is None:
            self._box_file = self._folder.file(f"{self.name}/box.json")
            self._spool = Spool(self._folder.path)
        box = subject_box(result.labels)
        if box is not None:
            left, top, right, bottom = box
            self._spool.append(ComposedResult.of(result).rgba[top:bottom, left:right])
        self._frames.append((result.frame.stem, box))

    def close(self) -> tuple[Path, ...]:
        """Write every frame, cropped to the box of all."""
        if self._spool is not None and not self._finished:
            self._save(self._spool)
            self._spool.close()
            self._finished = (self._folder.path / self.name,)
        return self._finished

    def abort(self) -> None:
        """Remove what was put aside."""
        if self._spool is not None:
            self._spool.close()
            self._spool = None

    def _save(self, spool: Spool) -> None:
        left, top, right, bottom = _union([box for _, box in self._frames if box is not None], size=self._size)
        parts = iter(spool)
        for stem, box in self._frames:
            picture: NDArray[np.uint8] = np.zeros((bottom - top, right - left, 4), np.uint8)
            if box is not None:
                picture[box[1] - top : box[3] - top, box[0] - left : box[2] - left] = next(parts)
            write_png(self._folder.file(f"{self.name}/{stem}.png"), picture)
        content = {"left": left, "top": top, "width": right - left, "height": bottom - top}
        frame = {"frame_width": self._size[1], "frame_height": self._size[0]}
        with atomic_path(self._box_file) as temporary:
            temporary.write_text(json.dumps(content | frame) + "\n", encoding="utf-8")


def subject_box(labels: LabelArray) -> Box | None:
    """The smallest box around all objects and the soft edges beside them; None if there are none.

    Args:
        labels: H x W uint8; 0 = background.
    """
    x, y, width, height = cv2.boundingRect((labels != 0).view(np.uint8))
    if not width:
        return None
    margin = math.ceil(math.hypot(*labels.shape) * _MARGIN_PER_DIAGONAL)
    rows, columns = labels.shape
    return max(0, x - margin), max(0, y - margin), min(columns, x + width + margin), min(rows, y + height + margin)


def _union(boxes: list[Box], *, size: tuple[int, int]) -> Box:
    if not boxes:
        return 0, 0, size[1], size[0]
    left, top, right, bottom = zip(*boxes, strict=True)
    return min(left), min(top), max(right), max(bottom)
