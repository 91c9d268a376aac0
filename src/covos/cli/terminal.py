"""Print to the terminal: a name from a disk may hold codes that move the cursor, recolour the text or hide it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

from covos.core.errors import printable

if TYPE_CHECKING:
    from covos.data import Dataset


def say(text: str, *, err: bool = False) -> None:
    """Print one line."""
    typer.echo(printable(text), err=err)


def say_lines(text: str) -> None:
    """Print lines as they are laid out, on stdout, each with its codes escaped; the last one has its line end."""
    typer.echo("\n".join(map(printable, text.split("\n"))), nl=False)


def say_notes(datasets: Iterable[Dataset], *, quiet: bool = False) -> None:
    """Print to stderr what was noted as data sets were opened, a line each; nothing if quiet."""
    for note in () if quiet else (note for dataset in datasets for note in dataset.notes):
        say(f"note: {note}", err=True)
