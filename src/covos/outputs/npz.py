"""``npz``: all label maps in one NumPy file, ``masks.npz``: ``masks`` T x H x W, ``ids``, ``times``, ``stems``."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from covos.masks import present_ids
from covos.outputs.folder import OutputFolder
from covos.outputs.spool import Spool
from covos.runtime.atomic import atomic_path
from covos.types import FrameResult, SourceInfo

FILE = "masks.npz"


class NpzWriter:
    """``masks`` is uint8, ``ids`` the uint8 ids that occur, ``times`` float64 seconds, ``stems`` the frames' names.

    One frame is in memory at a time, however long the clip.
    """

    name = "npz"
    labels_only = True
    warnings: tuple[str, ...] = ()

    def __init__(self, folder: OutputFolder, *, info: SourceInfo, source_path: Path) -> None:
        self._folder = folder
        self._size = info.height, info.width
        self._target: Path | None = None
        self._spool: Spool | None = None
        self._ids: set[int] = set()
        self._times: list[float] = []
        self._stems: list[str] = []
        self._finished: tuple[Path, ...] = ()

    def write(self, result: FrameResult) -> None:
        """Put the frame's labels aside."""
        if self._spool is None:
            self._target = self._folder.file(FILE)
            self._spool = Spool(self._folder.path)
        self._spool.append(result.labels)
        self._ids.update(present_ids(result.labels))
        self._times.append(result.frame.time)
        self._stems.append(result.frame.stem)

    def close(self) -> tuple[Path, ...]:
        """Write the file."""
        if self._spool is not None and self._target is not None and not self._finished:
            with atomic_path(self._target) as temporary, zipfile.ZipFile(temporary, "w") as archive:
                self._save(archive, self._spool)
            self._spool.close()
            self._finished = (self._target,)
        return self._finished

    def abort(self) -> None:
        """Remove what was put aside."""
        if self._spool is not None:
            self._spool.close()
            self._spool = None

    def _save(self, archive: zipfile.ZipFile, spool: Spool) -> None:
        header = {"descr": "|u1", "fortran_order": False, "shape": (len(spool), *self._size)}
        with _member(archive, "masks") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for labels in spool:
                file.write(labels.tobytes())
        others: dict[str, NDArray[Any]] = {
            "ids": np.array(sorted(self._ids), np.uint8),
            "times": np.array(self._times, np.float64),
            "stems": np.array(self._stems),
        }
        for name, array in others.items():
            with _member(archive, name) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)


def _member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    # A ZipInfo of its own has a fixed date: the same masks give the same file.
    entry = zipfile.ZipInfo(f"{name}.npy")
    entry.compress_type = zipfile.ZIP_DEFLATED
    return archive.open(entry, "w", force_zip64=True)
