"""``npz``: all label maps in one NumPy file, ``masks.npz``: ``masks`` T x H x W, ``ids``, ``times``, ``stems``."""

from __future__ import annotations

import math
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from covos.core.errors import EnvironmentProblem
from covos.core.files import atomic_path
from covos.core.types import FrameResult, SourceInfo
from covos.formats.base import Destination
from covos.formats.reading import DamagedError, Gathered, MasksRead, check_size, numbered
from covos.masks import present_ids
from covos.masks.frame_mask import objects_of

# Put arrays aside until all have been seen, for formats that need to know the whole clip before they can write.


class Spool:
    """Arrays on the disk, compressed, in the order they came.

    The file has no name, so that nothing is left of it however the program ends. In memory it costs some hundred
    bytes an array.

    Args:
        folder: An existing one, on the disk that the results go to.

    Raises:
        EnvironmentProblem: It cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with self._explained():
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by `close`
        self._entries: list[tuple[int, np.dtype[Any], tuple[int, ...]]] = []

    def append(self, array: NDArray[Any]) -> None:
        """Put an array aside.

        Raises:
            EnvironmentProblem: The disk is full.
        """
        packed = zlib.compress(array.tobytes(), level=1)
        with self._explained():
            self._file.write(packed)
            self._file.flush()
        self._entries.append((len(packed), array.dtype, array.shape))

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """The arrays, one in memory at a time."""
        self._file.seek(0)
        for size, dtype, shape in self._entries:
            yield np.frombuffer(zlib.decompress(self._file.read(size)), dtype).reshape(shape)

    def close(self) -> None:
        """Remove the file."""
        with suppress(OSError):  # bytes that the disk refused before are refused again
            self._file.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise EnvironmentProblem(
                f"{self._folder} cannot be written to",
                why=f"{error.strerror or error}, while frames were put aside",
                fix="free some space, or write to another disk",
            ) from error


FILE = "masks.npz"


class NpzWriter:
    """``masks`` is uint8, ``ids`` the uint8 ids that occur, ``times`` float64 seconds, ``stems`` the frames' names.

    One frame is in memory at a time, however long the clip.
    """

    name = "npz"
    labels_only = True
    warnings: tuple[str, ...] = ()

    def __init__(self, folder: Destination, *, info: SourceInfo, source_path: Path) -> None:
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


# Read ``.npz`` archives of label maps: ``masks`` N x H x W uint8, and ``times`` (in seconds) and ``stems`` if there.
#
# Frame by frame: what the archive unpacks to may be far larger than the memory.

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
