"""Read shards: plain tar files that hold the files of a folder, and an index beside them that says where each lies.

A file is read from its place in a shard: nothing is unpacked, and a few open files serve a data set of millions. The
shards lie in a folder, or at a URL that fsspec knows; `covos.data.pack` writes them.
"""

from __future__ import annotations

import errno
import os
import zlib
from collections import deque
from pathlib import Path
from threading import Lock
from typing import Annotated, Any, Final, Literal
from weakref import WeakValueDictionary

from pydantic import AfterValidator

from covos.core.errors import SourceError, listed
from covos.core.files import read_at
from covos.core.guarded import open_regular, parse_json
from covos.core.places import Packed, Place, path_text
from covos.core.records import Count, Record, parse_record, read_record
from covos.core.remote import explaining, is_remote, reached

INDEX: Final = "shards.json"
_MOST_OPEN = 256
"""Shards that a process keeps open; systems allow it 1024 files, or fewer."""
_KEPT = 8
"""Files from elsewhere that are kept: a picture is opened for its header, and again for its pixels."""
_AGAIN = "copy the shards again, or pack the data set again: covos data pack"


def _plain(name: str) -> str:
    if name in ("", ".", "..") or "/" in name or "\\" in name or "\0" in name:
        raise ValueError("a shard lies beside its index, and this name leads elsewhere")
    return name


class Shard(Record):
    """One tar file: its name, which lies beside the index, and its size."""

    file: Annotated[str, AfterValidator(_plain)]
    bytes: Count


class ShardIndex(Record):
    """The index of a folder that was packed.

    Attributes:
        format: Says that it is one.
        name: Name of the folder.
        shards: The tar files.
        files: Path in the folder, with forward slashes, to the number of its shard, the place of its first byte, its
            size, and the CRC-32 of its content.
    """

    format: Literal["covos-shards-1"] = "covos-shards-1"
    name: str
    shards: tuple[Shard, ...]
    files: dict[str, tuple[Count, Count, Count, Count]]


class Shards:
    """The files of a folder that was packed.

    It pickles as its place alone: a process that it is sent to opens it there. A process that is forked shares the
    index and the open files, which have no position of their own that one could move under the other.
    """

    def __init__(self, root: str) -> None:
        """Open the shards at a path or a URL.

        Raises:
            SourceError: There is no index, it cannot be read, or shards are missing or cut off.
            EnvironmentProblem: The file system cannot be reached.
        """
        self.root = root
        self._remote = is_remote(root)
        index = _read_index(root)
        self.name = index.name
        self.shards = index.shards
        self._files = index.files
        self._folders: dict[str, dict[str, None]] = {"": {}}
        for name in index.files:
            self._add(name)
        self._refuse_incomplete()
        self._open: dict[int, _OpenShard] = {}
        self._recent: deque[tuple[str, bytes]] = deque(maxlen=_KEPT)
        _KNOWN[root] = self

    def __reduce__(self) -> tuple[Any, ...]:
        return _known, (self.root,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Shards) and self.root == other.root

    def __hash__(self) -> int:
        return hash(self.root)

    def absolute(self) -> str:
        """Return where the shards lie, whatever the working directory."""
        return self.root if self._remote else str(Path(self.root).resolve())

    def folder(self, inner: str) -> dict[str, None] | None:
        """Return the names in a folder; None if there is no such folder."""
        return self._folders.get(inner)

    def size(self, inner: str) -> int | None:
        """Return the bytes of a file; None if there is no such file."""
        found = self._files.get(inner)
        return None if found is None else found[2]

    def read(self, inner: str) -> bytes:
        """Return the content of a file.

        Raises:
            OSError: There is no such file, or its shard is missing, cut off or damaged.
        """
        try:
            number, start, size, checksum = self._files[inner]
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, "there is no such file in the shards", inner) from None
        shard = self.shards[number].file
        content = self._from_afar(inner, shard, start, size) if self._remote else self._near(number, start, size)
        if len(content) != size:
            raise OSError(errno.EIO, f"the shard {shard} is cut off: it ends before this file does")
        if zlib.crc32(content) != checksum:
            raise OSError(errno.EIO, f"the shard {shard} is damaged here: the checksum of this file is another")
        return content

    def _near(self, number: int, start: int, size: int) -> bytes:
        shard = self._open.get(number)
        if shard is None:
            # No lock: one that is held while a process forks stays locked in the new one. Two threads may open a shard
            # twice, and the second lasts.
            while len(self._open) >= _MOST_OPEN:
                self._open.pop(next(iter(tuple(self._open))), None)
            shard = self._open[number] = _OpenShard(Path(self.root) / self.shards[number].file)
        return shard.read(start, size)

    def _from_afar(self, inner: str, shard: str, start: int, size: int) -> bytes:
        for name, content in tuple(self._recent):
            if name == inner:
                return content
        # Asked for anew each time: fsspec keeps one system a process, and a forked process needs another.
        system, path = reached(self.root)
        try:
            content = bytes(system.cat_file(f"{path}/{shard}", start=start, end=start + size))
        except Exception as error:  # each system has its own
            raise OSError(errno.EIO, f"the shard {shard} cannot be read: {type(error).__name__}: {error}") from error
        self._recent.append((inner, content))
        return content

    def _add(self, inner: str) -> None:
        folder, _, name = inner.rpartition("/")
        while name not in self._folders.setdefault(folder, {}):
            self._folders[folder][name] = None
            if not folder:
                break
            folder, _, name = folder.rpartition("/")

    def _refuse_incomplete(self) -> None:
        sizes = _sizes(self.root)
        gone = [shard.file for shard in self.shards if shard.file not in sizes]
        cut = [shard.file for shard in self.shards if sizes.get(shard.file, shard.bytes) != shard.bytes]
        if gone or cut:
            said = ((gone, "missing"), (cut, "not of the size that they were packed with"))
            raise SourceError(
                f"{self.root}: {len(gone) + len(cut)} of {len(self.shards)} shards cannot be read",
                why="; ".join(f"{listed(names)}: {what}" for names, what in said if names),
                fix=_AGAIN,
            )
        ends = [shard.bytes for shard in self.shards]
        if any(number >= len(ends) or start + size > ends[number] for number, start, size, _ in self._files.values()):
            raise SourceError(
                f"{self.root}/{INDEX}: the index does not fit its shards",
                why="a file is said to lie beyond the end of its shard",
                fix=_AGAIN,
            )


class _OpenShard:
    """An open tar file. It is closed with the last thread that reads from it."""

    def __init__(self, path: Path) -> None:
        self._file = -1
        self._turn = Lock()
        with open_regular(path) as opened:
            self._file = os.dup(opened.fileno())

    def __del__(self) -> None:
        if self._file >= 0:
            os.close(self._file)

    def read(self, start: int, size: int) -> bytes:
        # Not mapped into memory: there, a disk that fails or a file that is cut ends the process with a signal.
        return read_at(self._file, start, size, turn=self._turn)


_KNOWN: WeakValueDictionary[str, Shards] = WeakValueDictionary()
"""Those that are open, by root: what is sent to a process names its shards with every file."""


def _known(root: str) -> Shards:
    return _KNOWN.get(root) or Shards(root)


def as_place(given: str | os.PathLike[str]) -> Place:
    """Return the place that a path or a URL names: the folder that was packed, if shards lie there.

    Raises:
        UsageError: It is empty.
        SourceError: Shards lie there and cannot be read, or a URL has none.
        EnvironmentProblem: The file system of a URL cannot be reached.
    """
    text = path_text(given, what="the data set")
    if is_remote(text):
        return Packed(Shards(text.rstrip("/")))
    path = Path(text)
    return Packed(Shards(text)) if (path / INDEX).is_file() else path


def _read_index(root: str) -> ShardIndex:
    what = f"{root}/{INDEX}: the index of the shards cannot be read"
    if not is_remote(root):
        return read_record(ShardIndex, Path(root) / INDEX, what=what, fix=_AGAIN, error=SourceError)
    system, path = reached(root)
    with explaining(f"{root}/{INDEX}", SourceError):
        content = system.cat_file(f"{path}/{INDEX}")
    return parse_record(ShardIndex, lambda: parse_json(content), what=what, fix=_AGAIN, error=SourceError)


def _sizes(root: str) -> dict[str, int]:
    """Return the sizes of the files beside an index."""
    if not is_remote(root):
        with os.scandir(root) as entries:
            return {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}
    system, path = reached(root)
    with explaining(root, SourceError):
        return {each["name"].rpartition("/")[2]: int(each["size"] or 0) for each in system.ls(path, detail=True)}
