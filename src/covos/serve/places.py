"""Files of the server: those that clients may name, and second names for those that lie there already."""

from __future__ import annotations

import shutil
from pathlib import Path

from covos.serve.errors import NotThereError

PAGE = "page.url"
"""File in a server's folder with the address of its page, while it runs."""


def printable(name: str) -> str:
    """Return the name of a file as text that every answer can hold: bytes that are not UTF-8 stand as escapes."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def link(source: Path, target: Path) -> None:
    """Give a file a second name; where the disk has no such names, copy it."""
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)


def file_below(root: Path | None, path: str) -> Path:
    """Return a file that a client names, if it lies below a folder.

    Raises:
        NotThereError: It does not, or is not there, or there is no such folder.
    """
    try:
        found = None if root is None else (root / path).resolve()
        is_there = found is not None and root is not None and found.is_relative_to(root.resolve()) and found.is_file()
    except (OSError, ValueError):  # a loop of links, or a name that no file can have
        is_there = False
    if not is_there or found is None:
        raise NotThereError(
            f"{path!r} is not there",
            why="a path names a file below the folder that the server was given with --media-root"
            if root is not None
            else "this server was started without --media-root",
            fix="upload the file",
        )
    return found
