"""Arrays put aside until all have been seen, for formats that need the whole clip before they can write."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covos.core.errors import EnvironmentProblem


class ArraysOnDisk:
    """Arrays in a compressed file, in the order they came.

    The file lies in a folder on the disk that the results go to. It has no name, so that nothing is left of it however
    the program ends. In memory it costs some hundred bytes an array.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with self._explained():
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by `close`
        self._entries: list[tuple[int, np.dtype[Any], tuple[int, ...]]] = []

    def append(self, array: NDArray[Any]) -> None:
        """Put an array aside."""
        packed = zlib.compress(array.tobytes(), level=1)
        with self._explained():
            self._file.write(packed)
            self._file.flush()
        self._entries.append((len(packed), array.dtype, array.shape))

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """Yield the arrays, one in memory at a time."""
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
