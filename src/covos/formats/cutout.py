"""``cutout``: the subject cropped, a PNG with alpha a frame, ``cutout/<stem>.png``, and ``cutout/box.json``.

One box for the whole clip holds the subject in every frame: pictures of one size, in which the subject moves as it
does in the clip. A box of its own for each frame would be smaller and would jump. ``box.json`` says where the box lies
in the source, so that the pictures can be put back.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.files import atomic_path
from covos.core.types import FrameResult, LabelArray
from covos.formats.arrays_on_disk import ArraysOnDisk
from covos.formats.base import Format
from covos.formats.compose import ComposedResult
from covos.formats.pictures import write_png

_MARGIN_PER_DIAGONAL = 1 / 100
Box = tuple[int, int, int, int]
"""left, top, right, bottom in pixels; right and bottom are one further."""


class CutoutFormat(Format):
    """Frames are put aside until the box is known. Outside the subject's own box a frame is transparent black."""

    name = output = "cutout"
    shape = "a picture a frame"
    bytes_per_pixel = 0.53
    _parts: ArraysOnDisk | None = None

    def _add(self, result: FrameResult) -> None:
        if self._parts is None:
            self._box_file = self._folder.file(f"{self.output}/box.json")
            self._parts = ArraysOnDisk(self._folder.path)
            self._boxes: list[tuple[str, Box | None]] = []
        box = subject_box(result.labels)
        if box is not None:
            left, top, right, bottom = box
            self._parts.append(ComposedResult.of(result).rgba[top:bottom, left:right])
        self._boxes.append((result.frame.stem, box))

    def _finish(self) -> Path:
        assert self._parts is not None
        height, width = self._info.height, self._info.width
        boxes = [box for _, box in self._boxes if box is not None] or [(0, 0, width, height)]
        lefts, tops, rights, bottoms = zip(*boxes, strict=True)
        left, top, right, bottom = min(lefts), min(tops), max(rights), max(bottoms)
        parts = iter(self._parts)
        for stem, box in self._boxes:
            picture: NDArray[np.uint8] = np.zeros((bottom - top, right - left, 4), np.uint8)
            if box is not None:
                picture[box[1] - top : box[3] - top, box[0] - left : box[2] - left] = next(parts)
            write_png(self._folder.file(f"{self.output}/{stem}.png"), picture)
        content = {"left": left, "top": top, "width": right - left, "height": bottom - top}
        frame = {"frame_width": width, "frame_height": height}
        with atomic_path(self._box_file) as temporary:
            temporary.write_text(json.dumps(content | frame) + "\n", encoding="utf-8")
        self._parts.close()
        return super()._finish()

    def _abandon(self) -> None:
        if self._parts is not None:
            self._parts.close()


def subject_box(labels: LabelArray) -> Box | None:
    """Return the smallest box around all objects and the soft edges beside them; None if there are none."""
    x, y, width, height = cv2.boundingRect((labels != 0).view(np.uint8))
    if not width:
        return None
    margin = math.ceil(math.hypot(*labels.shape) * _MARGIN_PER_DIAGONAL)
    rows, columns = labels.shape
    return max(0, x - margin), max(0, y - margin), min(columns, x + width + margin), min(rows, y + height + margin)
