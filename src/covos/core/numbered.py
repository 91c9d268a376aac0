"""Patterns of names with a place for the number of a frame, as FFmpeg and programs for effects take them.

covos numbers pictures itself. Written to, ``seq.%04d.png`` or ``seq.####.exr`` would be the name of one file or folder.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable
from pathlib import Path

from covos.core.errors import UsageError

_PLACE = re.compile(r"%(?:0?\d+)?[diu](?![a-z])|#{2,}", re.IGNORECASE)


def refuse_pattern(where: str | os.PathLike[str], *, fix: Callable[[Path], str]) -> None:
    """Refuse an output whose name is a pattern; not one that is there, nor a URL, in which % and # mean other things.

    Args:
        where: A file or folder, as the user gave it.
        fix: Gives the remedy, of the name without the place for a number: ``seq`` for ``seq.%04d.png``, and ``frames``
            where nothing would be left.

    Raises:
        UsageError: It is one.
    """
    path = Path(where)
    if "://" in os.fspath(where) or (found := _PLACE.search(path.name)) is None or path.exists():
        return
    plain = path.with_name(_PLACE.sub("", path.name.removesuffix(path.suffix)).rstrip("._- ") or "frames")
    raise UsageError(
        f"the pattern {found[0]} in the name of an output, {path}",
        why="covos numbers pictures itself, in a folder of their format",
        fix=fix(plain),
    )


def as_glob(name: str) -> str | None:
    """Return the pattern that matches all pictures of a numbered name: ``seq.*.png``, of ``seq.%04d.png``.

    None if the last part of the name has no place for a number, or no file can have it.
    """
    path = Path(name)
    if _PLACE.search(path.name) is None or "\0" in name:
        return None
    last = "*".join(glob.escape(part) for part in _PLACE.split(path.name))
    return str(Path(glob.escape(str(path.parent))) / last)


def as_folder(plain: Path) -> str:
    """Return the remedy of a command that writes to a folder."""
    return f"name the folder: {plain}{os.sep}"
