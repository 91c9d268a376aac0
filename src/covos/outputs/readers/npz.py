"""Read ``.npz`` archives of label maps: ``masks`` N x H x W uint8, and ``times`` (in seconds) and ``stems`` if there.

Frame by frame: what the archive unpacks to may be far larger than the memory.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from covos.outputs.frame_mask import objects_of
from covos.outputs.readers.base import DamagedError, Gathered, MasksRead, check_size, numbered

MASKS = "masks.npy"
_MICROSECOND = Fraction(1, 1_000_000)
_LONGEST_LIST = 1 << 28
"""Bytes. Times and names of more frames than that are no times and names."""


def read_npz(path: Path) -> MasksRead:
    """Read an archive.

    Raises:
        DamagedError: It is damaged, or its arrays are others.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if MASKS not in archive.namelist():
                raise DamagedError("it has no array 'masks'")
            times = _list(archive, "times", kinds="fiu")
            stems = _list(archive, "stems", kinds="U")
            with archive.open(MASKS) as file:
                frames = _frames(file, times=times, stems=stems)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as error:
        raise DamagedError(" ".join(str(error).split())) from error
    return MasksRead(
        format="npz", path=path, frames=numbered(frames), time_base=None if times is None else _MICROSECOND
    )


def _frames(file: IO[bytes], *, times: list[Any] | None, stems: list[Any] | None) -> list[Gathered]:
    shape, fortran, dtype = _header(file)
    if len(shape) != 3 or dtype not in {np.dtype(np.uint8), np.dtype(np.bool_)} or fortran:
        raise DamagedError(f"its masks are {shape} {dtype}; N x H x W uint8 is read")
    count, height, width = shape
    check_size((height, width))
    for name, values in (("times", times), ("stems", stems)):
        if values is not None and len(values) != count:
            raise DamagedError(f"it has {len(values)} {name} for {count} masks")
    frames = []
    for index in range(count):
        data = file.read(height * width)
        if len(data) != height * width:
            raise DamagedError(f"it ends in mask {index} of {count}")
        frame = Gathered(
            index=index,
            stem=None if stems is None else str(stems[index]),
            pts=None if times is None else round(times[index] / _MICROSECOND),
            size=(height, width),
            objects={},
        )
        for identity, rle in objects_of(np.frombuffer(data, np.uint8).reshape(height, width)).items():
            frame.add(identity, rle)
        frames.append(frame)
    return frames


def _list(archive: zipfile.ZipFile, name: str, *, kinds: str) -> list[Any] | None:
    """The values of a one-dimensional array; None if there is no such array."""
    if f"{name}.npy" not in archive.namelist():
        return None
    with archive.open(f"{name}.npy") as file:
        shape, _, dtype = _header(file)
        size = math.prod(shape) * dtype.itemsize
        if len(shape) != 1 or dtype.kind not in kinds or size > _LONGEST_LIST:
            raise DamagedError(f"its {name} are {shape} {dtype}")
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
