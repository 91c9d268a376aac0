"""``yolo``: YOLO segmentation, ``yolo/labels/<stem>.txt``: a line for each part of an object, its outline as a polygon.

A line is ``class x1 y1 x2 y2 ...``: the class is the object's id less one, or where objects have labels that of its
label (``yolo/classes.txt`` names them), the corners are pixels of the border, as shares of the width and height. A
polygon cannot have holes: they are filled.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.files import atomic_path
from covos.core.labelling import NAMELESS
from covos.core.types import FrameResult, LabelArray
from covos.formats.base import Format
from covos.masks import present_ids


class YoloFormat(Format):
    """A text file a frame, empty where the frame has no object."""

    name = output = "yolo"
    own_sizes = True
    labels_only = True
    needs_pictures = False
    _filled = 0
    _highest = 0

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._used: set[str] = set()

    @classmethod
    def names_objects(cls, value: str | None) -> bool:
        """Tell that labels are what its categories are called."""
        return True

    @property
    def warnings(self) -> tuple[str, ...]:
        """Number of masks whose holes are filled now."""
        text = f"yolo: polygons cannot have holes; they are filled in {self._filled} of the masks"
        return (text,) if self._filled else ()

    def _add(self, result: FrameResult) -> None:
        lines = []
        for identity in present_ids(result.labels):
            mask = (result.labels == identity).view(np.uint8)
            outlines = _outlines(mask)
            filled = cv2.drawContours(np.zeros(mask.shape, np.uint8), outlines, -1, 1, cv2.FILLED)
            self._filled += cv2.countNonZero(filled) != cv2.countNonZero(mask)
            kind = self._labels.category(identity) if self._labels else identity
            lines += [_line(kind, outline, size=mask.shape) for outline in outlines]
            self._used.add(self._labels.of(identity))
            self._highest = max(self._highest, kind)
        self._save(f"labels/{result.frame.stem}.txt", lines)

    def _finish(self) -> Path:
        names = [f"{NAMELESS} {identity}" for identity in range(1, self._highest + 1)]
        if self._labels:
            names = [label for _, label in self._labels.listed(self._used)]
        self._save("classes.txt", names)
        return super()._finish()

    def _save(self, name: str, lines: list[str]) -> None:
        with atomic_path(self._folder.file(f"{self.output}/{name}")) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _outlines(mask: LabelArray) -> list[NDArray[np.int32]]:
    """Return the outer outline of each part of a mask: M x 2 int32 (x, y), its border pixels."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return [np.asarray(contour, np.int32).reshape(-1, 2) for contour in contours]


def _line(kind: int, outline: NDArray[np.int32], *, size: tuple[int, ...]) -> str:
    # Readers want three corners; a part of one or two pixels has fewer.
    corners = np.resize(outline, (max(3, len(outline)), 2))
    # A quarter of a pixel in: readers multiply by the size, then some cut the fraction off (Ultralytics) and some round
    # (Supervision). Both come to the pixel itself.
    shares = (corners + 0.25) / (size[1], size[0])
    return " ".join([str(kind - 1), *(f"{share:.6f}" for share in shares.ravel())])
