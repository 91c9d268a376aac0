"""Places: folders, files and tar files of this machine, or wherever fsspec reaches, such as ``s3://bucket/clips``."""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from covos.core.errors import EnvironmentProblem, SourceError, UsageError
from covos.core.remote import explaining, is_remote, reached
from covos.runs.schema import REPORT


def joined(place: str, name: str) -> str:
    """Return the place of something in a folder."""
    return f"{place.rstrip('/')}/{name}" if is_remote(place) else str(Path(place) / name)


def matches(url: str) -> list[str]:
    """Return the files that a URL with wildcards stands for, as URLs, in order.

    Raises:
        SourceError: There is none.
        EnvironmentProblem: The file system cannot be reached.
    """
    system, path = reached(url)
    with explaining(url, SourceError):
        found = sorted(str(system.unstrip_protocol(each)) for each in system.glob(path))
    if not found:
        raise SourceError(f"{url}: the pattern matches nothing", why="no file has such a name", fix="check the pattern")
    return found


def shard_files(shard: str) -> list[str]:
    """Return the names of the files in a tar file, a path or a URL, in its order; hidden ones are left out.

    Raises:
        SourceError: It is not there, it is no tar file, or it is cut off.
        UsageError: A name leads out of it.
        EnvironmentProblem: The file system cannot be reached.
    """
    system, path = reached(shard)
    with explaining(shard, SourceError), system.open(path, "rb") as file, tarfile.open(fileobj=file) as tar:
        names = [each.name for each in tar if each.isfile()]
    for name in names:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise UsageError(
                f"{shard}: the name {name!r} in it cannot be used", why="it leads out of it", fix="pack the files anew"
            )
    return [name for name in names if not PurePosixPath(name).name.startswith(".")]


def in_shard(shard: str, name: str) -> str:
    """Return the URL of a file in a tar file, as fsspec has it."""
    return f"tar://{name}::{shard if is_remote(shard) else Path(shard).resolve()}"


@contextmanager
def at_hand(source: str) -> Iterator[str]:
    """Give the path of a source: its own, or that of a copy of what a URL names, which is removed after the block.

    Raises:
        SourceError: The file is not there, or cannot be fetched.
        EnvironmentProblem: The file system cannot be reached.
    """
    if not is_remote(source):
        yield source
        return
    system, path = reached(source)
    with tempfile.TemporaryDirectory(prefix="covos-") as folder:
        copy = Path(folder) / PurePosixPath(path).name
        with explaining(source, SourceError):
            system.get_file(path, str(copy))
        yield str(copy)


@contextmanager
def made_here(output: str) -> Iterator[Path]:
    """Give the folder to write to: the output itself, or one that is moved to where a URL says after the block.

    The report goes last: where it is, the rest is.

    Raises:
        EnvironmentProblem: The file system cannot be reached, or refuses.
    """
    if not is_remote(output):
        yield Path(output)
        return
    system, path = reached(output)
    with tempfile.TemporaryDirectory(prefix="covos-") as scratch:
        folder = Path(scratch) / "result"
        yield folder
        files = sorted((each for each in folder.rglob("*") if each.is_file()), key=lambda each: each.name == REPORT)
        with explaining(output, EnvironmentProblem):
            for file in files:
                name = f"{path}/{file.relative_to(folder).as_posix()}"
                system.makedirs(name.rpartition("/")[0], exist_ok=True)
                system.put_file(str(file), name)


def is_there(output: str) -> bool:
    """Tell if the whole result of a run is where a URL says.

    Raises:
        EnvironmentProblem: The file system cannot be reached.
    """
    system, path = reached(output)
    with explaining(output, EnvironmentProblem):
        return bool(system.exists(f"{path}/{REPORT}"))


def write_bytes(place: str, content: bytes) -> None:
    """Write a file to a URL; what was there is replaced.

    Raises:
        EnvironmentProblem: The file system cannot be reached, or refuses.
    """
    system, path = reached(place)
    with explaining(place, EnvironmentProblem):
        system.makedirs(path.rpartition("/")[0], exist_ok=True)
        system.pipe_file(path, content)
