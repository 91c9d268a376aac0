"""Print to the terminal: a name from a disk may hold codes that move the cursor, recolour the text or hide it."""

from __future__ import annotations

import typer

from covos.core.errors import printable


def say(text: str, *, err: bool = False) -> None:
    """Print one line."""
    typer.echo(printable(text), err=err)


def say_lines(text: str) -> None:
    """Print lines as they are laid out, on stdout, each with its codes escaped; the last one has its line end."""
    typer.echo("\n".join(map(printable, text.split("\n"))), nl=False)
