"""`covos train`: train a network by a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from covos.cli import options
from covos.cli.terminal import say
from covos.core.memory import refuse_small_address_space
from covos.training.registry import recipe_names

if TYPE_CHECKING:
    from covos.training.console import Console
    from covos.training.prepared import Training


def train(
    recipe: Annotated[
        str,
        typer.Argument(
            help=f"A recipe ({', '.join(recipe_names())}), or a .toml file.",
        ),
    ],
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data", metavar="DATASET", help="A data set, a folder of data sets, or shards, also at a URL; repeatable."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FOLDER", help="Folder of the run. If it holds one, the command goes on with it."
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Length in steps, also if the recipe counts epochs.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Length in passes over all pairs; for COSNet alone.")] = None,
    extend: Annotated[
        bool, typer.Option("--extend", help="Let a run go on to more steps or epochs than it was begun with.")
    ] = False,
    overfit: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Train and measure on the same N videos: can the network learn them?"),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="FIELD=VALUE", help="Replace a field of the recipe, such as steps=500; repeatable."
        ),
    ] = None,
    weights: Annotated[
        str | None, typer.Option("-w", "--weights", help="Fine-tune this model: a name, or a .safetensors file.")
    ] = None,
    check: Annotated[
        bool | None,
        typer.Option(
            "--check/--no-check",
            help="--check only looks at the data and times a few steps; --no-check begins without. By default a new "
            "run does both.",
        ),
    ] = None,
    shown: Annotated[
        bool, typer.Option("--print", help="Print the recipe as TOML, with the changes of --set, and exit.")
    ] = False,
    device: options.Device = "auto",
    precision: options.TrainingPrecision = "auto",
    workers: Annotated[int, typer.Option(min=0, help="Processes that load the data.")] = 1,
    quiet: options.NoProgress = False,
) -> None:
    """Train a network. Run it again to resume from the last checkpoint.

    Before a new run, covos looks at the data, and times a few steps to estimate the whole.

    On several GPUs: torchrun --nproc-per-node N -m covos train ...
    """
    refuse_small_address_space()
    from covos.core.errors import UsageError
    from covos.training.registry import load_recipe

    overrides = [*(settings or ()), *([f"overfit={overfit}"] if overfit is not None else ())]
    chosen = load_recipe(recipe, overrides=tuple(overrides), steps=steps, epochs=epochs)
    if shown:
        from covos.training.recipe_text import recipe_text

        for line in recipe_text(chosen).splitlines():
            say(line)
        return
    if not data:
        raise UsageError("nothing to train on", why="no data set is given", fix="give one: --data MY_FOLDER")
    if output is None and not check:
        raise UsageError(
            "no folder for the run", why="weights and checkpoints must go somewhere", fix="give one: -o runs/mine"
        )
    from covos.data.opening import refuse_missing
    from covos.models.registry import find_model

    for each in data:
        refuse_missing(each)
    if weights is not None:
        find_model(weights)
    from covos.training.api import is_run, run_training  # brings torch: what is wrong is refused before
    from covos.training.console import Console
    from covos.training.prepared import prepare
    from covos.training.run_log import lacking

    training = prepare(chosen, data, weights=weights, device=device, precision=precision, workers=workers)
    leads = training.group.leads
    console = Console(quiet=quiet or not leads)
    if leads and (check or (check is None and not (output is not None and is_run(output)))):
        _look(training, console, only=bool(check))
    if output is None or check:
        return
    console.begin(training.data, processes=training.group.size)
    if lack := lacking():
        console.note(f"warning: {lack}")
    with console.explaining_stops(output / "checkpoint.pt"):
        result = run_training(training, folder=output, extend=extend, listeners=(console,))
    if leads:
        say(str(result.last))


def _look(training: Training, console: Console, *, only: bool) -> None:
    """Say what the data hold and how long it will take; on stdout if that is all that is asked for.

    Raises:
        InputError: The data cannot be trained on.
    """
    from covos.core.progress import Progress
    from covos.training.api import check_training
    from covos.training.console import lines_of
    from covos.training.estimate import estimate_time

    with Progress("look at the data", quiet=console.quiet) as progress:
        found = check_training(training, on_frames=progress.advance)
    tell = say if only else console.note
    for line in lines_of(found):
        tell(line)
    found.refuse()
    if training.group.size > 1:  # the others wait, and what one process takes alone is not what they take together
        return
    console.estimate = estimate_time(training, tell=console.note)
    steps = console.estimate.steps
    if training.recipe.warmup >= steps:
        tell(
            f"warning: the warm-up of {training.recipe.warmup} steps is as long as the run of {steps}, or longer: "
            "--set warmup=0 leaves it out"
        )
    tell(f"time: {console.estimate}")
    tell(f"memory: {console.estimate.spoken_memory}")
