"""One run at a time in a folder: a lock that the system releases, however the run ends."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from covos.core.errors import EnvironmentProblem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a lock file for the time of a block.

    The lock is the system's, on the open file: a killed holder leaves the file, but not the lock, so nothing is ever
    stale. The file names its holder for the message, and goes with the lock.

    Args:
        path: The file; its folder must exist.

    Raises:
        EnvironmentProblem: Another process (or another holder in this one) has it, or it cannot be made.
    """
    handle = _acquire(path)
    try:
        yield
    finally:
        # Before the lock goes, or the file removed could be the next holder's. Windows keeps what is open.
        with suppress(PermissionError):
            path.unlink(missing_ok=True)
        os.close(handle)


def _acquire(path: Path) -> int:
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise EnvironmentProblem(
                f"{path} cannot be made", why=error.strerror or str(error), fix="choose another folder"
            ) from error
        try:
            _lock(handle)
            # The holder before may have removed the file between the opening and the locking: then it locks nothing.
            if _is_still(path, handle):
                os.ftruncate(handle, 0)
                os.write(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
                return handle
        except (BlockingIOError, PermissionError):
            holder = os.read(handle, 200).decode(errors="replace").strip() if sys.platform != "win32" else ""
            os.close(handle)
            raise EnvironmentProblem(
                f"{path.parent} is in use",
                why=f"another covos works in it: {holder or 'see its lock file'}",
                fix="wait until it is done, or choose another folder",
            ) from None
        except OSError as error:
            path.unlink(missing_ok=True)
            os.close(handle)
            raise EnvironmentProblem(
                f"{path} cannot be locked",
                why=error.strerror or str(error),
                fix="free some space, or choose a folder on a disk that has file locks",
            ) from error
        os.close(handle)


def _is_still(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
