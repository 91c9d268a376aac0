"""``covos models``: which models there are and what they are worth."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from covos.models.registry import ModelEntry

app = typer.Typer(help="The models that covos knows.", no_args_is_help=True)


@app.callback()
def _models() -> None:
    """A group, also while it has one verb."""


@app.command("list")
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="Print the models' cards as JSON.")] = False,
) -> None:
    """List the models by name, with their size, scores and licence."""
    from rich.console import Console
    from rich.table import Table

    from covos.models.registry import DEFAULT_MODEL, list_models

    entries = list_models()
    if as_json:
        typer.echo(json.dumps([_as_dict(entry, default=entry.name == DEFAULT_MODEL) for entry in entries], indent=2))
        return
    table = Table("model", "network", "weights", "file", "scores", "licence", box=None, pad_edge=False)
    for entry in entries:
        table.add_row(
            entry.name + (" (default)" if entry.name == DEFAULT_MODEL else ""),
            entry.card.architecture,
            f"{entry.card.parameters / 1e6:.1f} M",
            f"{entry.path.stat().st_size / 1e6:.1f} MB",
            "\n".join(_score(protocol, values) for protocol, values in entry.card.scores.items()),
            entry.card.licence,
        )
    Console().print(table)


def _as_dict(entry: ModelEntry, *, default: bool) -> dict[str, Any]:
    return {"name": entry.name, "default": default, "path": str(entry.path), "card": asdict(entry.card)}


def _score(protocol: str, values: dict[str, Any]) -> str:
    numbers = ", ".join(f"{name} {value:.3f}" for name, value in values.items() if isinstance(value, float))
    return f"{numbers} ({protocol})"
