"""Places: folders and files of this machine, or wherever fsspec reaches, such as ``s3://bucket/clips``."""

from __future__ import annotations

import glob
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from covos.core.errors import CovosError, EnvironmentProblem, InputError, SourceError, UsageError
from covos.core.files import LOCK, atomic_path
from covos.core.guarded import read_guarded
from covos.core.limits import limits, raising
from covos.core.remote import explaining, is_remote, reached
from covos.fleet.packed import from_shard
from covos.media.images import IMAGE_SUFFIXES
from covos.runs.folder import LIST, explained
from covos.runs.schema import REPORT, load_report

_GONE, _READ_ALONE = "memory", ("http", "https", "tar", "zip", "data", "github")
"""Protocols of fsspec whose files end with the process, and those that nothing can be written to."""


def joined(place: str, name: str) -> str:
    """Return the place of something in a folder."""
    return f"{place.rstrip('/')}/{name}" if is_remote(place) else str(Path(place) / name)


def plain(place: str) -> str:
    """Return a place as it is written wherever it is compared: two paths of one thing are the same."""
    return place.rstrip("/") if is_remote(place) else str(Path(place).resolve())


def matches(url: str) -> list[str]:
    """Return the files and folders that a URL with wildcards stands for, as URLs, in order; none if there are none.

    Raises:
        SourceError: The file system refuses.
        EnvironmentProblem: It cannot be reached.
    """
    system, path = reached(url)
    with explaining(url, SourceError):
        return sorted(str(system.unstrip_protocol(each)) for each in system.glob(path))


def is_folder(url: str) -> bool:
    """Tell if a URL names a folder; a web server lists none, and one in an archive is not looked for.

    Raises:
        SourceError: The file system refuses.
        EnvironmentProblem: It cannot be reached.
    """
    if not _lists(url):
        return False
    system, path = reached(url)
    with explaining(url, SourceError):
        return bool(system.isdir(path))


def _lists(url: str) -> bool:
    # A page of a web server would be read whole, to look for links.
    return not url.startswith(("http://", "https://")) and "::" not in url


def holds_result(folder: str) -> bool:
    """Tell if a folder holds a result of covos; one of a web server or in an archive is not looked into.

    Raises:
        SourceError: The file system of a URL refuses.
        EnvironmentProblem: It cannot be reached.
    """
    if not is_remote(folder):
        try:
            return (Path(folder) / LIST).exists()
        except OSError:  # it may not be read, which it says itself
            return False
    if not _lists(folder):
        return False
    system, path = reached(folder)
    with explaining(folder, SourceError):
        return bool(system.exists(f"{path}/{LIST}"))


def files_below(url: str) -> list[PurePosixPath]:
    """Return the files in a folder at a URL and in those below it, as paths from there.

    Raises:
        SourceError: The file system refuses.
        EnvironmentProblem: It cannot be reached.
    """
    system, path = reached(url)
    with explaining(url, SourceError):
        return [PurePosixPath(name) for name in _below(system, path)]


def _below(system: Any, path: str) -> list[str]:
    root = path.strip("/") + "/"
    found = (str(each).lstrip("/") for each in system.find(path))
    return [each.removeprefix(root) for each in found if each.startswith(root)]


def read_file(place: str, *, fix: str = "check the path") -> bytes:
    """Read a whole file, here or at a URL, within the limit on bytes.

    Args:
        place: A path or a URL.
        fix: What the error of a file of this machine tells to do.

    Raises:
        InputError: It is not there, is too large, or cannot be read.
        EnvironmentProblem: The file system cannot be reached.
    """
    what = f"{place} cannot be read"
    if not is_remote(place):
        return read_guarded(Path(place), what=what, fix=fix)
    system, path = reached(place)
    most = limits().bytes
    with explaining(place, InputError), system.open(path, "rb") as file:
        content: bytes = file.read(most + 1)
    if len(content) > most:
        raise InputError(what, why=f"it has more than {most} bytes", fix=raising("bytes"))
    return content


def refuse_unusable(output: str) -> None:
    """Refuse a URL that no worker could write its results to; nothing is written.

    Raises:
        UsageError: fsspec does not know such a URL, or what is written there cannot be kept.
        EnvironmentProblem: A package is missing, or the file system cannot be reached.
    """
    if not is_remote(output):
        return
    protocol = output.partition("://")[0]
    fix = "give a folder, or a URL that keeps files, such as s3://bucket/out"
    if protocol == _GONE:
        raise UsageError(
            f"the output {output}", why="each worker is a process, and its memory is gone when it ends", fix=fix
        )
    if protocol in _READ_ALONE:
        raise UsageError(f"the output {output}", why=f"nothing can be written to {protocol}://", fix=fix)
    reached(output)


@contextmanager
def at_hand(source: str) -> Iterator[str]:
    """Give the path of a source: its own, or that of a copy of what a URL names, which is removed after the block.

    If it is a folder or a pattern, its pictures are copied, into a folder of its name.

    Raises:
        SourceError: The file is not there, or cannot be fetched; or a folder has no pictures.
        EnvironmentProblem: The file system cannot be reached.
    """
    if not is_remote(source):
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="covos-") as folder:
        with explaining(source, SourceError):
            packed = from_shard(source, Path(folder))
        if packed is not None:
            yield str(packed)
            return
        system, path = reached(source)
        with explaining(source, SourceError):
            listed = _pictures(system, source, path)
            place = PurePosixPath(path)
            copy = Path(folder) / (place.parent.name if glob.has_magic(place.name) and listed else place.name)
            if listed is None:
                system.get_file(path, str(copy))
            else:
                copy.mkdir()
                system.get(listed, [str(copy / PurePosixPath(each).name) for each in listed])
        yield str(copy)


def _pictures(system: Any, source: str, path: str) -> list[str] | None:
    """Return the pictures of a folder, or of a pattern; None of a file, whatever characters are in its name."""
    if is_folder(source):
        found = system.ls(path, detail=False)
    elif glob.has_magic(path) and not system.exists(path):
        found = system.glob(path)
    else:
        return None
    places = {PurePosixPath(each).name: str(each) for each in found}
    pictures = [
        place for name, place in places.items() if name[0] != "." and Path(name).suffix.lower() in IMAGE_SUFFIXES
    ]
    if len(places) < len(found):
        raise SourceError(
            f"{source} is no clip", why="two of its files have the same name", fix="name the pictures of one folder"
        )
    if not pictures:
        raise SourceError(
            f"{source} is no clip",
            why="it is a folder or a pattern, and has no pictures",
            fix="name a video; covos batch lists the videos of a folder that is named as an input, not in a manifest",
        )
    return pictures


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
        names = [name for name in _below(system, path) if name != LOCK and ".." not in PurePosixPath(name).parts]
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
        if "covos convert" in error.remedy.command:
            error.remedy += "; covos convert reads no URL: copy the folder to this machine first"
        rename(error, {str(folder): output})
        raise


def rename(error: CovosError, places: Mapping[str, str]) -> None:
    """Let an error name the URLs that the user knows, not the places of this machine that stand for them."""

    def renamed(text: str) -> str:
        for place, url in places.items():
            text = text.replace(place, url)
        return text

    error.what, error.why, error.remedy = renamed(error.what), renamed(error.why), error.remedy.changed(renamed)


def is_there(output: str) -> bool:
    """Tell if the whole result of a run is where a URL says.

    Raises:
        EnvironmentProblem: The file system cannot be reached.
    """
    system, path = reached(output)
    with explaining(output, EnvironmentProblem):
        return bool(system.exists(f"{path}/{REPORT}"))


def exists(place: str) -> bool:
    """Tell if a file is there.

    Raises:
        EnvironmentProblem: The file system of a URL cannot be reached.
    """
    if not is_remote(place):
        return os.path.lexists(place)
    system, path = reached(place)
    with explaining(place, EnvironmentProblem):
        return bool(system.exists(path))


def remove_file(place: str) -> None:
    """Remove a file that is there.

    Raises:
        EnvironmentProblem: It cannot be removed.
    """
    if not is_remote(place):
        with explained(Path(place)):
            Path(place).unlink()
        return
    system, path = reached(place)
    with explaining(place, EnvironmentProblem):
        system.rm_file(path)


def write_file(place: str, content: bytes) -> None:
    """Write a whole file, here or at a URL, and its folder if there is none; what was there is replaced.

    Raises:
        EnvironmentProblem: The disk is full, or the file system cannot be reached, or refuses.
    """
    if not is_remote(place):
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(Path(place)) as temporary:
            temporary.write_bytes(content)
        return
    system, path = reached(place)
    with explaining(place, EnvironmentProblem):
        system.makedirs(path.rpartition("/")[0], exist_ok=True)
        system.pipe_file(path, content)
