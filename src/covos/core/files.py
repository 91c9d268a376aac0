"""Write files so that a final name never holds half a file, and let one run at a time into a folder."""

from __future__ import annotations

import errno
import os
import secrets
import socket
import stat
import time
import zlib
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any

from covos.core.errors import EnvironmentProblem, UsageError
from covos.core.words import Words

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

LOCK = ".covos-lock"
"""Name of the lock file of a folder in which one run is at work at a time; see `exclusive`."""
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Errors of a disk or quota that is full for every file."""
_FULL = NO_SPACE | {errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_OPEN_ELSEWHERE = {5, 32}  # ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION
_WAITS = (0.02, 0.05, 0.1, 0.2, 0.4)  # seconds
_MOST_CAUSES = 8
_LONGEST_NAME = 255  # bytes, on every common file system
_LONGEST_HOLDER = 400  # bytes of a lock file that are shown


def is_disk_full(error: BaseException | None, *, kinds: Collection[int] = _FULL) -> bool:
    """Tell if an error comes of a full disk or quota, or of a limit on the size of files.

    Args:
        error: Any; its causes count, too.
        kinds: Numbers of the system's errors that count; `NO_SPACE` leaves out a limit on one file.
    """
    seen = 0
    while error is not None and seen < _MOST_CAUSES:
        if isinstance(error, OSError) and error.errno in kinds:
            return True
        error, seen = error.__cause__, seen + 1
    return False


def hidden_beside(path: Path, tail: str) -> Path:
    """Return the path of a hidden file beside another, of its name and a tail; a long name is cut to one that can be.

    The rest goes into the new name as eight digits, so that files of different names have different ones.
    """
    name = os.fsencode(path.name)
    room = _LONGEST_NAME - 1 - len(os.fsencode(tail))
    if len(name) > room:
        tail = f".{zlib.crc32(name):08x}{tail}"
        name = name[: room - 9]
    return path.with_name(f".{os.fsdecode(name)}{tail}")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to; rename it to ``path`` if the block ends well, remove it if not.

    The block must create this file and close it. Its name lies in the same folder, which must exist (a rename is atomic
    only within one file system), and keeps the suffix, from which encoders choose their format. An existing ``path`` is
    replaced. The content is flushed to the disk before the rename: else a power cut can leave an empty file.

    Raises:
        EnvironmentProblem: The disk or quota is full, a file-size limit is met, or the folder is not writable.
        FileNotFoundError: The block ended without creating the file.
    """
    temporary = hidden_beside(path.with_suffix(""), f".{secrets.token_hex(4)}.partial{path.suffix}")
    try:
        yield temporary
        _flush(temporary)
        _replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and (problem := _explain(error, path, temporary)):
            raise problem from error
        raise


def _replace(temporary: Path, path: Path) -> None:
    """Rename; on Windows, wait a moment for whoever has the old file open, such as a scanner of viruses."""
    for wait in _WAITS:
        try:
            temporary.replace(path)
        except PermissionError as error:
            if getattr(error, "winerror", None) not in _OPEN_ELSEWHERE:
                raise
            time.sleep(wait)
        else:
            return
    temporary.replace(path)


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _explain(error: OSError, path: Path, temporary: Path) -> EnvironmentProblem | None:
    if error.errno in _FULL:
        why = f"{error.strerror or 'no space left'} on the disk of {path.parent}"
        fix = "free some space, or write to another disk; no half-written file was left"
    # Other files may be opened inside the block: a refusal counts only if it was about this one.
    elif error.errno in _FORBIDDEN and error.filename in (str(temporary), str(path), temporary, path):
        why, fix = f"{error.strerror}: {path.parent}", "choose a folder that you may write to"
        if getattr(error, "winerror", None) in _OPEN_ELSEWHERE and path.exists():
            why, fix = f"{error.strerror}: another program has the file open", "close it there, and run this again"
    else:
        return None
    return EnvironmentProblem(f"{path} could not be written", why=why, fix=fix)


def refuse_link(path: Path) -> None:
    """Refuse a path that is no file of its own: written through a link, another file would be changed.

    Raises:
        UsageError: It is a link, has a second name, or is no regular file; one that is not there is fine.
    """
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if stat.S_ISLNK(found.st_mode):
        why = "it is a link, and links inside an output folder are not followed"
    elif not stat.S_ISREG(found.st_mode):
        why = "it is not a regular file"
    elif found.st_nlink > 1:
        why = "it has a second name (a hard link), under which it would be changed as well"
    else:
        return
    raise UsageError(f"{path} is not covos's to write", why=why, fix="remove it, or choose another folder")


def refuse_links(root: Path, folder: Path) -> None:
    """Refuse a folder that lies behind a link inside an output folder: what is written would land elsewhere.

    Args:
        root: The output folder, which may itself be a link: the user named it.
        folder: A folder in it, which need not be there.

    Raises:
        UsageError: There is one on the way.
    """
    inside = folder.relative_to(root)
    for each in reversed((inside, *inside.parents)):
        place = root / each
        if place != root and place.is_symlink():
            raise UsageError(
                f"{place} is a link",
                why="links inside an output folder are not followed: what is written would land elsewhere",
                fix="remove the link, or write to another folder",
            )


def open_own(path: Path, mode: str, *, encoding: str | None = None, buffering: int = -1) -> IO[Any]:
    """Open a file in an output folder, in any mode of `open`, without following a link.

    Raises:
        UsageError: See `refuse_link`.
        OSError: As `open`.
    """

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o666)

    refuse_link(path)
    return open(path, mode, encoding=encoding, buffering=buffering, opener=opener)


def read_at(file: int, start: int, size: int, *, turn: AbstractContextManager[Any]) -> bytes:
    """Return bytes from a place of an open file, fewer at its end; several threads may read at once.

    ``turn`` is the file's own lock. It is taken where the system cannot read without moving the file's position.
    """
    parts = []
    while size > 0 and (part := _part_at(file, start, size, turn)):
        parts.append(part)
        start, size = start + len(part), size - len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _part_at(file: int, start: int, size: int, turn: AbstractContextManager[Any]) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(file, size, start)
    with turn:  # Windows, where no process is forked
        os.lseek(file, start, os.SEEK_SET)
        return os.read(file, size)


def is_held(path: Path) -> bool:
    """Tell if somebody holds a lock file at this moment; see `exclusive`."""
    if not path.exists():
        return False
    try:
        with exclusive(path):
            return False
    except EnvironmentProblem:
        return True


@contextmanager
def exclusive(
    path: Path, *, what: str | None = None, fix: str | Words = "wait until it is done, or choose another folder"
) -> Iterator[None]:
    """Hold a lock file, in an existing folder, for the time of a block.

    The system holds the lock, on the open file: a killed holder leaves the file, but not the lock, so nothing is ever
    stale. The file names its holder, for the error, and is removed with the lock.

    Args:
        path: The lock file.
        what: The failure, for the error of one that is held; None says that its folder is in use.
        fix: The remedy, likewise.

    Raises:
        EnvironmentProblem: Another process, or another holder in this one, has the lock; or the file cannot be made.
    """
    from filelock import FileLock, Timeout

    # Existence of a file, the library's substitute where a disk has no locks, would outlive a killed holder.
    lock = FileLock(path, blocking=False, thread_local=False, fallback_to_soft=False)
    try:
        path.parent.stat()  # the library would make the folder
        refuse_link(path)
        lock.acquire()
    except Timeout:
        holder = ""
        with suppress(OSError, UsageError), open_own(path, "rb") as file:
            holder = file.read(_LONGEST_HOLDER).decode("utf-8", "replace").strip()
        raise EnvironmentProblem(
            what or f"{path.parent} is in use",
            why=f"another covos works in it: {holder or 'see its lock file'}",
            fix=fix,
        ) from None
    except OSError as error:
        raise EnvironmentProblem(
            f"{path} cannot be made or locked",
            why=error.strerror or str(error),
            fix="choose another folder, on a disk that has file locks",
        ) from error
    try:
        # The name is only for the error; Windows lets nobody write to a locked file.
        with suppress(OSError), open_own(path, "w", encoding="utf-8") as file:
            file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        yield
    finally:
        # The file goes before the lock, or it could be the next holder's. Windows keeps what is open.
        with suppress(PermissionError):
            path.unlink(missing_ok=True)
        lock.release()
