"""`covos validate`: measure finished weights as the training of a recipe measures."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from covos.cli import existing, options
from covos.cli.terminal import say, say_notes
from covos.core.memory import refuse_small_address_space
from covos.training.registry import recipe_names

if TYPE_CHECKING:
    from covos.training.finished_weights import FinishedWeights
    from covos.training.validate import Measurement, SetScores


def validate(
    weights: Annotated[str, typer.Argument(help="A model's name, or a .safetensors file with its card.")],
    data: Annotated[
        list[str],
        typer.Option(
            "--data", metavar="DATASET", help="A data set, a folder of data sets, or shards, also at a URL; repeatable."
        ),
    ],
    recipe: Annotated[
        str | None,
        typer.Option(
            help=f"A recipe ({', '.join(recipe_names())}), or a .toml file.", show_default="that of the weights' card"
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="FIELD=VALUE", help="Replace a field of the recipe, such as ratio=0.8; repeatable."
        ),
    ] = None,
    subset: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="Measure on this list, such as val.",
            show_default="what the recipe holds back of the data",
        ),
    ] = None,
    every: Annotated[int, typer.Option(min=1, metavar="N", help="Score each N-th frame.")] = 5,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all scores to this file.")] = None,
    device: options.Device = "auto",
    precision: options.TrainingPrecision = "auto",
    overwrite: options.Overwrite = False,
    skip_existing: options.SkipExisting = False,
    quiet: options.NoProgress = False,
) -> None:
    """Measure finished weights as their training did: J, F and losses, on the videos that the recipe holds back.

    It tells in minutes if weights fit other data, and compares runs that measured on different videos. The scores of a
    benchmark are those of covos predict and covos evaluate, which segment as users do.
    """
    refuse_small_address_space()
    files = [] if json_file is None else [json_file]
    if existing.skips(files, overwrite=overwrite, skip=skip_existing, quiet=quiet):
        return
    from covos.data.opening import refuse_missing
    from covos.models.registry import find_model
    from covos.training.registry import load_recipe

    existing.refuse_existing(files, overwrite=overwrite)
    for each in data:
        refuse_missing(each)
    entry = find_model(weights)
    named = None if recipe is None else load_recipe(recipe)
    from covos.core.device import configure_threads
    from covos.training.console import score_lines
    from covos.training.finished_weights import FinishedWeights, recipe_of

    configure_threads()
    chosen = load_recipe(named or recipe_of(entry.card), overrides=tuple(settings or ()))
    ready = FinishedWeights.prepare(entry, data, recipe=chosen, subset=subset, device=device, precision=precision)
    if not quiet:
        _begin(ready)
    found = ready.measure(every=every, on_set=partial(_measured, quiet=quiet or len(ready.datasets) < 2))
    for line in score_lines(found, what="validation"):
        say(line)
    if json_file is not None:
        _write(json_file, found, ready, every=every)


def _measured(name: str, scores: SetScores, *, quiet: bool) -> None:
    if not quiet:
        say(f"{name} is measured: {scores}", err=True)


def _begin(ready: FinishedWeights) -> None:
    from covos.core.progress import counted

    sets = ", ".join(f"{name} ({counted(len(each), 'item')})" for name, each in ready.datasets.items())
    say(f"{ready.entry.name}, by the recipe of {ready.recipe.model}, measured on {sets}", err=True)
    say_notes(ready.datasets.values())
    for name, seen in ready.known.items():
        of = len(ready.datasets[name])
        say(f"note: by their card, the weights were trained on {len(seen)} of the {of} videos of {name}", err=True)


def _write(file: Path, found: Measurement, ready: FinishedWeights, *, every: int) -> None:
    from covos.core.records import write_json
    from covos.training.history import HistoryEntry

    card = ready.entry.card
    told: dict[str, Any] = {
        "weights": str(ready.entry.path),
        "sha256": card.sha256,
        "every": every,
        "trained_on": {name: list(seen) for name, seen in ready.known.items()},
    }
    scores = HistoryEntry.scored(found, step=int(card.recipe.get("step", 0))).model_dump(exclude_none=True)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json({**told, **scores}, file, indent=1)
