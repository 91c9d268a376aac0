"""``npz``: all label maps in one NumPy file, ``masks.npz``, written and read frame by frame.

``masks`` is T x H x W uint8, ``ids`` the uint8 ids that occur, ``times`` float64 seconds, ``stems`` the frames' names.
One frame is in memory at a time: an archive may unpack to far more than the memory holds. Other archives need only
``masks``, uint8 or bool.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from covos.core.files import atomic_path
from covos.core.guarded import check_zip
from covos.core.limits import limits, raising
from covos.core.types import FrameResult
from covos.formats.arrays_on_disk import ArraysOnDisk
from covos.formats.base import ReadableFormat
from covos.formats.reading import (
    DamagedError,
    MaskInput,
    MasksRead,
    ReadFrame,
    check_frame_count,
    check_size,
    numbered,
)
from covos.masks import present_ids
from covos.masks.frame_mask import objects_of

_MICROSECOND = Fraction(1, 1_000_000)
_LONGEST_LIST = 1 << 28
"""Bytes. Times and names of more frames than that are no times and names."""


class NpzFormat(ReadableFormat):
    """The label maps of all frames as one NumPy archive.

    The frames are put aside until their number is known.
    """

    name = "npz"
    output = "masks.npz"
    labels_only = True
    needs_pictures = False
    read_as = "npz"
    looks_like = "a zip archive with 'masks'"
    _maps: ArraysOnDisk | None = None

    def _add(self, result: FrameResult) -> None:
        if self._maps is None:
            self._target = self._folder.file(self.output)
            self._maps = ArraysOnDisk(self._folder.path)
            self._ids: set[int] = set()
            self._times: list[float] = []
            self._stems: list[str] = []
        self._maps.append(result.labels)
        self._ids.update(present_ids(result.labels))
        self._times.append(result.frame.time)
        self._stems.append(result.frame.stem)

    def _finish(self) -> Path:
        assert self._maps is not None
        with atomic_path(self._target) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            self._save(archive, self._maps)
        self._maps.close()
        return self._target

    def _abandon(self) -> None:
        if self._maps is not None:
            self._maps.close()

    def _save(self, archive: zipfile.ZipFile, maps: ArraysOnDisk) -> None:
        shape = (len(maps), self._info.height, self._info.width)
        with _member(archive, "masks") as file:
            npy.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
            for labels in maps:
                file.write(labels.tobytes())
        others: dict[str, NDArray[Any]] = {
            "ids": np.array(sorted(self._ids), np.uint8),
            "times": np.array(self._times, np.float64),
            "stems": np.array(self._stems),
        }
        for name, array in others.items():
            with _member(archive, name) as file:
                npy.write_array(file, array, allow_pickle=False)

    @classmethod
    def recognise(cls, masks: MaskInput) -> bool:
        """Return True for a zip archive."""
        return masks.start.startswith(b"PK\x03\x04")

    @classmethod
    def read(cls, masks: MaskInput) -> MasksRead:
        """Read an archive."""
        try:
            with masks.opened() as opened, _archive(opened) as archive:
                if "masks.npy" not in (names := archive.namelist()):
                    if any(name.lower().endswith(".npy") for name in names):
                        raise DamagedError("it has no array 'masks'")
                    raise DamagedError(
                        "it is a zip archive of other files; only those of NumPy, with 'masks', are read",
                        fix="unpack it, and give the folder or file of masks that is in it",
                    )
                times = _list(archive, "times", kinds="fiu")
                stems = _list(archive, "stems", kinds="U")
                with archive.open("masks.npy") as file:
                    frames = _frames(file, times=times, stems=stems)
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as error:
            raise DamagedError(" ".join(str(error).split())) from error
        time_base = None if times is None else _MICROSECOND
        return MasksRead(format=cls.name, path=masks.path, frames=numbered(frames), time_base=time_base)


def _archive(file: BinaryIO) -> zipfile.ZipFile:
    check_zip(file)
    return zipfile.ZipFile(file)


def _member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    # A ZipInfo of its own has a fixed date: the same masks give the same file.
    entry = zipfile.ZipInfo(f"{name}.npy")
    entry.compress_type = zipfile.ZIP_DEFLATED
    return archive.open(entry, "w", force_zip64=True)


def _frames(file: IO[bytes], *, times: list[Any] | None, stems: list[Any] | None) -> list[ReadFrame]:
    shape, fortran, dtype = _header(file)
    if len(shape) != 3 or dtype not in {np.dtype(np.uint8), np.dtype(np.bool_)} or fortran:
        raise DamagedError(f"its masks are {shape} {dtype}; N x H x W uint8 is read")
    count, height, width = shape
    check_size((height, width))
    check_frame_count(count)
    if (total := count * height * width) > limits().total:
        why = f"its {count} masks have {total} pixels together, and {limits().total} are read"
        raise DamagedError(why, fix=raising("total", total))
    for name, values in (("times", times), ("stems", stems)):
        if values is not None and len(values) != count:
            raise DamagedError(f"it has {len(values)} {name} for {count} masks")
    frames = []
    for index in range(count):
        data = file.read(height * width)
        if len(data) != height * width:
            raise DamagedError(f"it ends in mask {index} of {count}")
        frame = ReadFrame(
            index=index,
            stem=None if stems is None else str(stems[index]),
            pts=None if times is None else round(times[index] / _MICROSECOND),
            size=(height, width),
        )
        for identity, rle in objects_of(np.frombuffer(data, np.uint8).reshape(height, width)).items():
            frame.add(identity, rle)
        frames.append(frame)
    return frames


def _list(archive: zipfile.ZipFile, name: str, *, kinds: str) -> list[Any] | None:
    """Return the values of a one-dimensional array; None if there is no such array."""
    if f"{name}.npy" not in archive.namelist():
        return None
    with archive.open(f"{name}.npy") as file:
        shape, _, dtype = _header(file)
        size = math.prod(shape) * dtype.itemsize
        if len(shape) != 1 or dtype.kind not in kinds or size > _LONGEST_LIST:
            raise DamagedError(f"its {name} are {shape} {dtype}")
        check_frame_count(shape[0])
        data = file.read(size)
    if len(data) != size:
        raise DamagedError(f"its {name} are cut off")
    values: list[Any] = np.frombuffer(data, dtype).tolist() if size else [""] * shape[0]
    if not all(isinstance(value, str) or math.isfinite(value) for value in values):
        raise DamagedError(f"its {name} are not all numbers")
    return values


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = read(file)
    return shape, fortran, dtype
