"""Places: a file or a folder that is read, on a disk or packed in an archive."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from reprlib import repr as shortened
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from covos.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Archive(Protocol):
    """Files that lie in a few large ones; see `covos.core.shards`."""

    @property
    def name(self) -> str:
        """The name of the folder that was packed."""

    @property
    def root(self) -> str:
        """The place of the archive, as it was given."""

    def absolute(self) -> str:
        """Return where the archive lies, whatever the working directory."""

    def folder(self, inner: str) -> Mapping[str, object] | None:
        """Return the names in a folder, in the order in which they were packed; None if there is no such folder."""

    def size(self, inner: str) -> int | None:
        """Return the bytes of a file; None if there is no such file."""

    def read(self, inner: str) -> bytes:
        """Return the content of a file; raise an OSError if it is not there, or damaged."""


@dataclass(frozen=True, slots=True, repr=False)
class Packed:
    """A file or folder in an archive, with the part of `pathlib.Path` that is enough to read a data set.

    Attributes:
        archive: The archive.
        inner: Path from the folder that was packed, with forward slashes; empty for this folder itself.
    """

    archive: Archive
    inner: str = ""

    def __str__(self) -> str:
        return f"{self.archive.root}/{self.inner}" if self.inner else self.archive.root

    def __repr__(self) -> str:
        return f"Packed({str(self)!r})"

    def __truediv__(self, other: str) -> Packed:
        return Packed(self.archive, f"{self.inner}/{other}" if self.inner else other)

    @property
    def name(self) -> str:
        """The last part of the path; of an archive, the name of the folder that was packed."""
        return self.inner.rpartition("/")[2] or self.archive.name  # a PurePosixPath for each takes ten times as long

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return os.path.splitext(self.name)[0]  # noqa: PTH122

    @property
    def suffix(self) -> str:
        """The suffix, with its point."""
        return os.path.splitext(self.name)[1]  # noqa: PTH122

    @property
    def parent(self) -> Packed:
        """The folder that it lies in; of an archive, itself."""
        return Packed(self.archive, self.inner.rpartition("/")[0])

    def exists(self) -> bool:
        """Return True if the archive has it."""
        return self.is_file() or self.is_dir()

    def is_file(self) -> bool:
        """Return True if it is a file of the archive."""
        return self.archive.size(self.inner) is not None

    def is_dir(self) -> bool:
        """Return True if it is a folder of the archive."""
        return self.archive.folder(self.inner) is not None

    def iterdir(self) -> Iterator[Packed]:
        """Yield what lies in the folder.

        Raises:
            FileNotFoundError: There is no such folder.
        """
        names = self.archive.folder(self.inner)
        if names is None:
            raise FileNotFoundError(2, "no such folder in the shards", str(self))
        return (self / name for name in names)

    def open(self, mode: Literal["rb"] = "rb") -> io.BufferedReader:
        """Open the file for reading bytes; it is read whole.

        Raises:
            OSError: It is not there, or its archive is damaged.
        """
        return io.BufferedReader(io.BytesIO(self.archive.read(self.inner)))


Place: TypeAlias = Path | Packed
"""A file or folder, on a disk or in an archive."""


def path_text(given: str | os.PathLike[str], *, what: str) -> str:
    """Return a path that a caller gives as text; ``what`` names it in the message.

    Raises:
        UsageError: It is no path; or it is empty, which `pathlib.Path` takes for the current folder.
    """
    text = os.fspath(given) if isinstance(given, str | os.PathLike) else None
    if not isinstance(text, str):
        raise UsageError(
            f"{what}: {shortened(given)} is no path", why=f"it is a {type(given).__name__}", fix="give a text or a Path"
        )
    if not text:
        raise UsageError(
            f"the path of {what} is empty",
            why="it names no file and no folder; a variable may not be set",
            fix='give the path; "." is the current folder',
        )
    return text


def name_of(folder: Place) -> str:
    """Return the name of a folder, also of one that is given as ``.``."""
    return folder.name if isinstance(folder, Packed) else folder.resolve().name


def absolute(place: Place) -> str:
    """Return where something lies, whatever the working directory."""
    if isinstance(place, Packed):
        return f"{place.archive.absolute()}/{place.inner}".rstrip("/")
    return str(place.resolve())


def size_of(file: Place) -> int:
    """Return the bytes of a file without reading it.

    Raises:
        OSError: There is no such file.
    """
    if not isinstance(file, Packed):
        return file.stat().st_size
    size = file.archive.size(file.inner)
    if size is None:
        raise FileNotFoundError(2, "no such file in the shards", str(file))
    return size


def inside(place: Place, folder: Place) -> str | None:
    """Return the path from a folder to what lies in it, with forward slashes; None if it lies elsewhere."""
    if isinstance(place, Packed) or isinstance(folder, Packed):
        if not (isinstance(place, Packed) and isinstance(folder, Packed) and place.archive == folder.archive):
            return None
        inner, outer = PurePosixPath(place.inner), PurePosixPath(folder.inner)
        return inner.relative_to(outer).as_posix() if inner.is_relative_to(outer) else None
    return place.relative_to(folder).as_posix() if place.is_relative_to(folder) else None
