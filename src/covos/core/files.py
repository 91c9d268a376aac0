"""Write a file under a temporary name, then rename it: a final name never holds half a file."""

from __future__ import annotations

import errno
import os
import secrets
from contextlib import contextmanager
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

    The temporary name lies in the same folder (a rename is atomic only within one file system), contains
    ``.partial`` and keeps the suffix, from which encoders choose their format. An existing ``path`` is replaced:
    whether that is wanted is for the caller to ask first.

    The content is flushed to the disk before the rename. Without that, a power cut after the rename can leave the
    final name with an empty file, because a file system may write the new name before the data.

    Args:
        path: The final name. Its folder must exist.

    Yields:
        The temporary path. The block must create this file and close it.

    Raises:
        EnvironmentProblem: The disk or quota is full, a file-size limit is met, or the folder is not writable.
        FileNotFoundError: The block ended without creating the file.
    """
    temporary = _temporary(path)
    try:
        yield temporary
        _flush(temporary)
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and (problem := _explain(error, path, temporary)):
            raise problem from error
        raise


def _temporary(path: Path) -> Path:
    tail = f".{secrets.token_hex(4)}.partial{path.suffix}"
    stem = os.fsencode(path.stem)[: _LONGEST_NAME - 1 - len(os.fsencode(tail))]
    return path.with_name(f".{os.fsdecode(stem)}{tail}")


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _explain(error: OSError, path: Path, temporary: Path) -> EnvironmentProblem | None:
    if error.errno in _FULL:
        return EnvironmentProblem(
            f"{path} could not be written",
            why=f"{error.strerror or 'no space left'} on the disk of {path.parent}",
            fix="free some space, or write to another disk; no half-written file was left",
        )
    # Other files may be opened inside the block: a refusal counts only if it was about this one.
    if error.errno in _FORBIDDEN and error.filename in (str(temporary), str(path), temporary, path):
        return EnvironmentProblem(
            f"{path} could not be written",
            why=f"{error.strerror}: {path.parent}",
            fix="choose a folder that you may write to",
        )
    return None
