"""``covos export``: write the networks of a model as ONNX graphs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from covos.cli import existing, options
from covos.cli.terminal import say

if TYPE_CHECKING:
    from covos.runtimes.graphs import GraphsCard


def export(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A name from covos models list, or a .safetensors file.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FOLDER", help="Folder for the graphs and their card.")
    ],
    overwrite: options.Overwrite = False,
    skip_existing: options.SkipExisting = False,
    quiet: options.Quiet = False,
) -> None:
    """Write a model as ONNX graphs for frames of any size, and compare each with torch.

    It takes covos-lite, covos-follow, covos-prompt, covos-matte and COSNet. It writes a graph for each stage that a
    program calls, and a card that says what goes in and out.
    """
    from covos.models.registry import find_model

    entry = find_model(model)
    from covos.runtimes.graphs import card_file  # brings torch
    from covos.runtimes.loading import export_to

    if existing.skips([card_file(entry, output)], overwrite=overwrite, skip=skip_existing, quiet=quiet):
        return
    card = export_to(output, entry=entry, overwrite=overwrite)
    if not quiet:
        _tell(card, output)


def _tell(card: GraphsCard, output: Path) -> None:
    for graph in card.graphs:
        apart = "not compared" if graph.difference is None else f"differs by {graph.difference:.1g} from torch"
        size = (output / graph.file).stat().st_size / 1e6
        say(f"{graph.file}  {size:.1f} MB, {apart}")
    if any(graph.difference is None for graph in card.graphs):
        say("neither onnxruntime nor openvino is installed, so nothing was compared", err=True)
