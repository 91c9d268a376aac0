"""Results that are there already: they are replaced, left as they are, or refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def refuse_both(*, overwrite: bool, skip: bool) -> None:
    """Refuse to replace what exists and to leave it, at once."""
    if overwrite and skip:
        from covos.core.errors import UsageError

        raise UsageError(
            "-y and -n together", why="one replaces what exists, the other leaves it", fix="give one of them, or none"
        )


def say_skipped(name: str, made: Path, *, quiet: bool) -> None:
    """Say that something is left as it is."""
    if not quiet:
        from covos.cli.terminal import say

        say(f"skipped: {name}: {made} is there already", err=True)


def skips(files: Sequence[Path], *, overwrite: bool, skip: bool, quiet: bool = False) -> bool:
    """Tell if there is nothing to be done with -n, as all these files are there, and say so for each.

    Raises:
        UsageError: Existing files are to be replaced and to be left.
    """
    refuse_both(overwrite=overwrite, skip=skip)
    there = skip and bool(files) and all(file.exists() for file in files)
    for file in files if there else ():
        say_skipped(file.name, file, quiet=quiet)
    return there


def refuse_existing(files: Sequence[Path], *, overwrite: bool) -> None:
    """Refuse to replace files.

    Raises:
        UsageError: One of them is there, and nobody has asked to replace it.
    """
    from covos.core.errors import UsageError

    existing = [path for path in files if path.exists()]
    if existing and not overwrite:
        raise UsageError(
            f"{existing[0]} exists" + (f", and {len(existing) - 1} other outputs" if len(existing) > 1 else ""),
            why="results are never overwritten unasked",
            fix="give another name, or -y to replace",
        )
