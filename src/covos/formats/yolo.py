"""``yolo``: YOLO segmentation, ``yolo/labels/<stem>.txt``: a line for each part of an object, its outline as a polygon.

A line is ``class x1 y1 x2 y2 ...``: the class is the object's id less one (``yolo/classes.txt`` names them), the
corners are centres of pixels, as shares of the width and height. A polygon cannot have holes: they are filled.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.files import atomic_path
from covos.core.types import FrameResult, LabelArray, SourceInfo
from covos.formats.annotations import CATEGORY
from covos.formats.base import Destination
from covos.masks import present_ids

FOLDER = "yolo"


class YoloWriter:
    """Writes a text file a frame, empty where the frame has no object."""

    name = "yolo"
    labels_only = True

    def __init__(self, folder: Destination, *, info: SourceInfo, source_path: Path) -> None:
        self._folder = folder
        self._holes = 0
        self._highest = 0
        self._written = False
        self._finished: tuple[Path, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """How many masks had holes, which are filled now."""
        text = f"yolo: polygons cannot have holes; they are filled in {self._holes} of the masks"
        return (text,) if self._holes else ()

    def write(self, result: FrameResult) -> None:
        """Write the frame's polygons."""
        lines = []
        for identity in present_ids(result.labels):
            mask = (result.labels == identity).view(np.uint8)
            outlines = outlines_of(mask)
            self._holes += filled_area(outlines, size=mask.shape) != cv2.countNonZero(mask)
            lines += [_line(identity, outline, size=mask.shape) for outline in outlines]
            self._highest = max(self._highest, identity)
        self._save(f"labels/{result.frame.stem}.txt", lines)
        self._written = True

    def close(self) -> tuple[Path, ...]:
        """Write the names of the classes."""
        if self._written and not self._finished:
            self._save("classes.txt", [f"{CATEGORY} {identity}" for identity in range(1, self._highest + 1)])
            self._finished = (self._folder.path / FOLDER,)
        return self._finished

    def abort(self) -> None:
        """Nothing is open."""
        self._written = False

    def _save(self, name: str, lines: list[str]) -> None:
        with atomic_path(self._folder.file(f"{FOLDER}/{name}")) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def outlines_of(mask: LabelArray) -> list[NDArray[np.int32]]:
    """The outer outline of each part of a mask: M x 2 int32 (x, y), the centres of its border pixels."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return [np.asarray(contour, np.int32).reshape(-1, 2) for contour in contours]


def filled_area(outlines: list[NDArray[np.int32]], *, size: tuple[int, ...]) -> int:
    """Pixels of the mask that the outlines enclose, themselves included."""
    return int(cv2.countNonZero(cv2.drawContours(np.zeros(size, np.uint8), outlines, -1, 1, cv2.FILLED)))


def _line(identity: int, outline: NDArray[np.int32], *, size: tuple[int, ...]) -> str:
    # Readers want three corners; a part of one or two pixels has fewer.
    corners = np.resize(outline, (max(3, len(outline)), 2))
    # Centres of pixels: readers multiply by the size and cut the fraction off, which a share at the pixel's own edge
    # would not survive.
    shares = (corners + 0.5) / (size[1], size[0])
    return " ".join([str(identity - 1), *(f"{share:.6f}" for share in shares.ravel())])
