"""``binary``: a black and white PNG a frame and object, ``binary/<id>/<stem>.png``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from covos.masks import present_ids
from covos.outputs.folder import OutputFolder
from covos.outputs.png import write_png
from covos.types import FrameResult, SourceInfo

_ONLY = 1  # the id that a subject without a name has


class BinaryWriter:
    """0 and 255; every object has a file for every frame, black where it is not there.

    An object that first appears later gets the black masks of the earlier frames then. A source in which nothing was
    found has the folder of object 1, all black.
    """

    name = "binary"
    labels_only = True
    warnings: tuple[str, ...] = ()

    def __init__(self, folder: OutputFolder, *, info: SourceInfo, source_path: Path) -> None:
        self._folder = folder
        self._size = info.height, info.width
        self._stems: list[str] = []
        self._ids: set[int] = set()
        self._is_closed = False

    def write(self, result: FrameResult) -> None:
        """Write the frame's mask of each object known so far."""
        for identity in present_ids(result.labels):
            if identity not in self._ids:
                self._begin(identity)
        stem = result.frame.stem
        for identity in sorted(self._ids):
            mask = (result.labels == identity).view(np.uint8) * np.uint8(255)
            write_png(self._folder.file(f"{self.name}/{identity}/{stem}.png"), mask)
        self._stems.append(stem)

    def close(self) -> tuple[Path, ...]:
        """The folder of the objects' folders."""
        if not self._stems:
            return ()
        if not self._ids and not self._is_closed:
            self._begin(_ONLY)
        self._is_closed = True
        return (self._folder.path / self.name,)

    def abort(self) -> None:
        """Nothing is open."""
        self._is_closed = True

    def _begin(self, identity: int) -> None:
        self._ids.add(identity)
        black = np.zeros(self._size, np.uint8)
        for stem in self._stems:
            write_png(self._folder.file(f"{self.name}/{identity}/{stem}.png"), black)
