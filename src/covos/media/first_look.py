"""Look at the path of a source before anything heavy is imported: most wrong calls name a file that is not there."""

from __future__ import annotations

import os
from pathlib import Path

from covos.core.errors import SourceError
from covos.core.guarded import is_there
from covos.core.numbered import is_pattern


def refuse_missing(name: str) -> None:
    """Refuse a path that leads to no folder and no file that can be read; nothing is opened.

    A pattern is left to those who open it: only they know which files are pictures.

    Raises:
        SourceError: It cannot be a source.
    """
    target = Path(name)
    if is_there(target):
        if not target.is_dir():
            _refuse_unreadable(target, name)
        return
    if is_pattern(name):
        return
    if "://" in name:
        raise SourceError(
            f"{name}: URLs are not opened",
            why="a clip is read several times, from a disk",
            fix="download it first; covos batch fetches clips from URLs, and covos stream reads live ones",
        )
    try:
        target.lstat()
    except PermissionError:
        raise SourceError(
            f"{name}: it may not be looked at", why="permission denied to its folder", fix="change its permissions"
        ) from None
    except (OSError, ValueError):  # also a name that the system does not take
        why = "nothing has this name"
    else:
        why = "it is a link to a file that is gone"
    raise SourceError(
        f"{name}: no such file or folder",
        why=why,
        fix="check the spelling; relative paths start from the current folder",
    )


def _refuse_unreadable(target: Path, name: str) -> None:
    if not target.is_file():
        raise SourceError(
            f"{name}: it is not a regular file", why="pipes and devices cannot be read twice", fix="save it to a file"
        )
    if not os.access(target, os.R_OK):
        raise SourceError(f"{name}: it may not be read", why="permission denied", fix="change its permissions")
    if target.stat().st_size == 0:
        raise SourceError(f"{name}: the file is empty", why="it has 0 bytes", fix="copy or record it again")
