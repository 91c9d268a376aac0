"""``covos models``: which models there are and what they are worth; bring published ones in."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from covos.cli import existing, options
from covos.cli.terminal import say, say_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from covos.models.cosnet.convert import ConversionReport
    from covos.models.registry import ModelEntry

app = typer.Typer(help="The models that covos knows, and those of others.", no_args_is_help=True)


@app.command("list")
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="Print the models' cards as JSON.")] = False,
) -> None:
    """List the models by name, with their size, scores and licence."""
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    from covos.models.registry import DEFAULT_MODEL, list_models

    entries = list_models()
    if as_json:
        say_lines(
            json.dumps([_as_dict(entry, default=entry.name == DEFAULT_MODEL) for entry in entries], indent=2) + "\n"
        )
        return
    console = Console()
    for index, entry in enumerate(entries):
        if index:
            console.print()
        console.print(entry.name + (" (default)" if entry.name == DEFAULT_MODEL else ""), style="bold", highlight=False)
        block = Table.grid(Column(no_wrap=True), Column(overflow="fold"), padding=(0, 2))
        for label, value in _described(entry):
            block.add_row(Text(f"  {label}"), Text(value))
        console.print(block)


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="A checkpoint of COSNet, DeepLabV3 or ResNet.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The .safetensors file; its card goes beside it.")],
    network: Annotated[
        str | None, typer.Option(help="cosnet_resnet101 or cosnet_resnet50; by default that of the checkpoint.")
    ] = None,
    overwrite: options.Overwrite = False,
    skip_existing: options.SkipExisting = False,
    every: Annotated[
        bool, typer.Option("--all", help="List every tensor, not only the unexpected and missing ones.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what became of each tensor as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print nothing.")] = False,
) -> None:
    """Convert a published checkpoint; no code in it is run, and every tensor is accounted for."""
    from covos.models.cosnet.convert import convert as run

    if existing.skips([output], overwrite=overwrite, skip=skip_existing, quiet=quiet):
        return
    report = run(source, output=output, architecture=network, overwrite=overwrite)
    if as_json:
        say_lines(json.dumps(asdict(report), indent=2) + "\n")
    elif not quiet:
        for line in _account(report, every=every):
            say(line)
        say(str(output))


@app.command()
def average(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE", help="Weights of one network: .safetensors files, two or more.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The .safetensors file; its card goes beside it.")],
    overwrite: options.Overwrite = False,
    skip_existing: options.SkipExisting = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print nothing.")] = False,
) -> None:
    """Average the weights of several checkpoints of one training, or of several from the same start."""
    from covos.models.averaging import average as run

    if existing.skips([output], overwrite=overwrite, skip=skip_existing, quiet=quiet):
        return
    card = run(files, output=output, overwrite=overwrite)
    if not quiet:
        for parent in card.recipe["averaged"]:
            scores = [_score(protocol, values) for protocol, values in parent["scores"].items()]
            typer.echo("  ".join([f"averaged    {parent['file']}  {parent['sha256'][:12]}", *scores]))
        typer.echo(str(output))


def _described(entry: ModelEntry) -> Iterator[tuple[str, str]]:
    card = entry.card
    yield "network", f"{card.architecture}, {card.parameters / 1e6:.1f} M weights"
    yield "file", f"{entry.path.stat().st_size / 1e6:.1f} MB"
    for protocol, values in card.scores.items():
        yield "score", _score(protocol, values)
    yield "trained on", ", ".join(_source(data) for data in card.data)
    yield "licence", card.licence


def _account(report: ConversionReport, *, every: bool) -> Iterator[str]:
    for theirs, ours in report.mapped if every else ():
        yield f"mapped      {theirs} -> {ours}"
    for name in report.unexpected:
        yield f"unexpected  {name}, left out"
    for name in report.missing:
        yield f"missing     {name}, random until trained"
    yield (
        f"{report.architecture} from the layout {report.layout}: {len(report.mapped)} tensors mapped, "
        f"{len(report.missing)} missing, {len(report.unexpected)} unexpected; {len(report.counters)} counters left out"
    )


def _as_dict(entry: ModelEntry, *, default: bool) -> dict[str, Any]:
    return {"name": entry.name, "default": default, "path": str(entry.path), "card": entry.card.model_dump()}


def _source(data: dict[str, Any]) -> str:
    return f"{data['name']} ({data['items']})" if "items" in data else str(data["name"])


def _score(protocol: str, values: dict[str, Any]) -> str:
    numbers = ", ".join(f"{name} {value:.3f}" for name, value in values.items() if isinstance(value, float))
    return f"{numbers} ({protocol})"
