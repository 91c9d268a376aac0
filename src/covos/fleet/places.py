"""Places: folders, files and tar files of this machine, or wherever fsspec reaches, such as ``s3://bucket/clips``."""

from __future__ import annotations

import os
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from covos.core.errors import CovosError, EnvironmentProblem, SourceError, UsageError
from covos.core.remote import explaining, is_remote, reached
from covos.runs.folder import LIST, LOCK
from covos.runs.schema import REPORT, load_report


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
def made_here(output: str, *, overwrite: bool = False) -> Iterator[Path]:
    """Give the folder to write to: the output itself, or one of this machine whose changes go to a URL after the block.

    The latter begins with the result that is there, if it is whole: its terms, journal and report. The files of its
    formats are named, but not fetched. The report goes last, and away first: where it is, the rest is.

    Args:
        output: A path or a URL.
        overwrite: If true, the result that is there is only cleared away, and nothing of it is read.

    Raises:
        EnvironmentProblem: The file system cannot be reached, or refuses.
    """
    if not is_remote(output):
        yield Path(output)
        return
    system, path = reached(output)
    with tempfile.TemporaryDirectory(prefix="covos-") as scratch:
        folder = Path(scratch) / "result"
        with _named(folder, output):
            before = _fetched(system, path, output=output, folder=folder, overwrite=overwrite)
            yield folder
        now = _files(folder)
        if now != before:
            with explaining(output, EnvironmentProblem):
                _moved(system, path, folder=folder, before=before, now=now)


def _fetched(system: Any, path: str, *, output: str, folder: Path, overwrite: bool) -> dict[str, int]:
    """Fetch a whole result; return the times of its files here, which show what is written later."""
    with explaining(output, EnvironmentProblem):
        system.invalidate_cache()  # another worker may have been here
        if not system.exists(f"{path}/{REPORT}"):
            return {}
        root = path.strip("/") + "/"
        found = (str(each).lstrip("/") for each in system.find(path))
        names = [each.removeprefix(root) for each in found if each.startswith(root)]
        names = [name for name in names if name != LOCK and ".." not in PurePosixPath(name).parts]
        outputs: set[str] = set()
        if not overwrite:
            _fetch(system, f"{path}/{REPORT}", folder / REPORT)
            outputs = set(load_report(folder).outputs)
        for name in names:
            of_format = not outputs.isdisjoint(
                str(each) for each in (PurePosixPath(name), *PurePosixPath(name).parents)
            )
            if name == LIST or not (overwrite or of_format):
                _fetch(system, f"{path}/{name}", folder / name)
            else:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).touch()
            os.utime(folder / name, ns=(0, 0))  # older than all that this machine writes: nobody has edited it here
    return _files(folder)


def _fetch(system: Any, place: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    system.get_file(place, str(target))


def _files(folder: Path) -> dict[str, int]:
    files = (each for each in folder.rglob("*") if each.is_file() and each.name != LOCK)
    return {each.relative_to(folder).as_posix(): each.stat().st_mtime_ns for each in files}


def _moved(system: Any, path: str, *, folder: Path, before: dict[str, int], now: dict[str, int]) -> None:
    if REPORT in before:
        system.rm_file(f"{path}/{REPORT}")
    for name in before.keys() - now.keys() - {REPORT}:
        system.rm_file(f"{path}/{name}")
    changed = [name for name in now if now[name] != before.get(name) or name == REPORT]
    for name in sorted(changed, key=lambda each: each == REPORT):
        target = f"{path}/{name}"
        system.makedirs(target.rpartition("/")[0], exist_ok=True)
        system.put_file(str(folder / name), target)


@contextmanager
def _named(folder: Path, output: str) -> Iterator[None]:
    """Let errors name the URL, not the folder that stands for it."""
    try:
        yield
    except CovosError as error:
        if "covos convert" in error.fix:
            error.fix += "; covos convert reads no URL: copy the folder to this machine first"
        error.what, error.why, error.fix = (
            each.replace(str(folder), output) for each in (error.what, error.why, error.fix)
        )
        raise


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
