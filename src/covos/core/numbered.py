"""Patterns of names: globs, and names with a place for the number of a frame, as FFmpeg and others take them.

Both are read. covos numbers the pictures that it writes itself: as an output, ``seq.%04d.png`` or ``seq.####.exr``
would be the name of one file or folder.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable
from pathlib import Path

from covos.core.errors import UsageError
from covos.core.words import Words

_PLACE = re.compile(r"%(?:0?\d+)?[diu](?![a-z])|#{2,}", re.IGNORECASE)


def refuse_pattern(where: str | os.PathLike[str], *, fix: Callable[[Path], str | Words]) -> None:
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


def is_pattern(name: str) -> bool:
    """Tell if the name of an input stands for several files: a glob, or a last part with a place for a number.

    A file or folder of the name itself goes before, which is not looked for here.
    """
    return glob.has_magic(name) or is_numbered(name)


def is_numbered(name: str) -> bool:
    """Tell if the last part of a name has a place for a number; a URL has none, in which % stands for other signs."""
    if "://" in name or "\0" in name:  # no file has such a name
        return False
    return _PLACE.search(Path(name).name) is not None


def matches_of(name: str) -> list[Path]:
    """Return the paths that a pattern stands for, in no order: those with any number at the place of one."""
    path = Path(name)
    if glob.has_magic(path.name) or _PLACE.search(path.name) is None:
        # Path.glob takes no absolute patterns.
        return [Path(match) for match in glob.glob(name, recursive=True)]  # noqa: PTH207
    shape = re.compile("[0-9]+".join(re.escape(part) for part in _PLACE.split(path.name)))
    try:
        return [each for each in path.parent.iterdir() if shape.fullmatch(each.name)]
    except (OSError, ValueError):  # no folder, or a name that the system does not take
        return []


def as_folder(plain: Path) -> str:
    """Return the remedy of a command that writes to a folder."""
    return f"name the folder: {plain}{os.sep}"
