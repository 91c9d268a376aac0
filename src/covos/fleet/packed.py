"""Clips in tar files: their list, and a copy of one of them, without reading what lies before it again."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath

from covos.core.errors import SourceError, UsageError
from covos.core.remote import explaining, is_remote, reached

_IN_SHARD = "tar://"


def shard_files(shard: str) -> list[str]:
    """Return the names of the files in a tar file, a path or a URL, in its order; hidden ones are left out.

    Raises:
        SourceError: It is not there, it is no tar file, or it is cut off.
        UsageError: A name leads out of it.
        EnvironmentProblem: The file system cannot be reached.
    """
    with explaining(shard, SourceError):
        names = list(_members(shard))
    for name in names:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise UsageError(
                f"{shard}: the name {name!r} in it cannot be used", why="it leads out of it", fix="pack the files anew"
            )
    return [name for name in names if not PurePosixPath(name).name.startswith(".")]


def _members(shard: str) -> Mapping[str, tarfile.TarInfo]:
    """Return the files in a tar file by their names, in its order; of several of one name the last one counts."""
    system, path = reached(shard)
    return _indexed(shard, str(system.ukey(path)))


@lru_cache(maxsize=4)
def _indexed(shard: str, state: str) -> Mapping[str, tarfile.TarInfo]:
    # A worker takes clip after clip of a shard, and to find one all headers before it are read.
    system, path = reached(shard)
    with system.open(path, "rb") as file, tarfile.open(fileobj=file) as tar:
        return {each.name: each for each in tar if each.isfile()}


def in_shard(shard: str, name: str) -> str:
    """Return the URL of a file in a tar file, as fsspec has it."""
    return f"{_IN_SHARD}{name}::{shard if is_remote(shard) else Path(shard).resolve()}"


def from_shard(url: str, folder: Path) -> Path | None:
    """Copy a file out of a tar file, to its name in a folder; None of a URL that names no such file."""
    name, _, shard = url.removeprefix(_IN_SHARD).partition("::")
    if not url.startswith(_IN_SHARD) or (member := _members(shard).get(name)) is None:
        return None
    system, path = reached(shard)
    copy = folder / PurePosixPath(name).name
    with system.open(path, "rb") as file, tarfile.open(fileobj=file) as tar, copy.open("wb") as target:
        content = tar.extractfile(member)
        assert content is not None, "files alone are listed"
        shutil.copyfileobj(content, target)
        if target.tell() < member.size:
            raise EOFError("the tar file is cut off")
    return copy
