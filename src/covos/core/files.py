"""Write files so that a final name never holds half a file, and let one run at a time into a folder."""

from __future__ import annotations

import errno
import os
import secrets
import socket
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from covos.core.errors import EnvironmentProblem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_LONGEST_NAME = 255  # bytes, on every common file system


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
    tail = f".{secrets.token_hex(4)}.partial{path.suffix}"
    stem = os.fsencode(path.stem)[: _LONGEST_NAME - 1 - len(os.fsencode(tail))]
    temporary = path.with_name(f".{os.fsdecode(stem)}{tail}")
    try:
        yield temporary
        _flush(temporary)
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and (problem := _explain(error, path, temporary)):
            raise problem from error
        raise


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
    else:
        return None
    return EnvironmentProblem(f"{path} could not be written", why=why, fix=fix)


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a lock file, in an existing folder, for the time of a block.

    The system holds the lock, on the open file: a killed holder leaves the file, but not the lock, so nothing is ever
    stale. The file names its holder, for the error, and is removed with the lock.

    Raises:
        EnvironmentProblem: Another process, or another holder in this one, has the lock; or the file cannot be made.
    """
    from filelock import FileLock, Timeout

    # Existence of a file, the library's substitute where a disk has no locks, would outlive a killed holder.
    lock = FileLock(path, blocking=False, thread_local=False, fallback_to_soft=False)
    try:
        path.parent.stat()  # the library would make the folder
        lock.acquire()
    except Timeout:
        holder = ""
        with suppress(OSError):
            holder = path.read_text(encoding="utf-8", errors="replace").strip()
        raise EnvironmentProblem(
            f"{path.parent} is in use",
            why=f"another covos works in it: {holder or 'see its lock file'}",
            fix="wait until it is done, or choose another folder",
        ) from None
    except OSError as error:
        raise EnvironmentProblem(
            f"{path} cannot be made or locked",
            why=error.strerror or str(error),
            fix="choose another folder, on a disk that has file locks",
        ) from error
    try:
        with suppress(OSError):  # the name is only for the error; Windows lets nobody write to a locked file
            path.write_text(f"process {os.getpid()} on {socket.gethostname()}\n", encoding="utf-8")
        yield
    finally:
        # The file goes before the lock, or it could be the next holder's. Windows keeps what is open.
        with suppress(PermissionError):
            path.unlink(missing_ok=True)
        lock.release()
