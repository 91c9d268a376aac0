"""`covos train`: train a network by a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe (lite), or a .toml file.")],
    data: Annotated[
        list[Path], typer.Option("--data", help="A data set, or a folder of data sets; may be given several times.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the run; continued if it holds one.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Replace a field of the recipe, such as steps=500.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option("-w", "--weights", help="Fine-tune this model: a name, or a .safetensors file.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32 or bf16.")] = "auto",
    workers: Annotated[int, typer.Option(min=0, help="Loader processes.")] = 1,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress.")] = False,
) -> None:
    """Train a network; stopped and started again, it goes on where its last checkpoint is."""
    from covos.errors import EnvironmentProblem, UsageError
    from covos.training.recipe import load_recipe

    chosen = load_recipe(recipe, overrides=tuple(settings or ()))
    from covos.models.registry import find_model
    from covos.runtime.device import resolve_device
    from covos.runtime.precision import choose_precision
    from covos.runtime.threads import configure_threads
    from covos.training.sources import gather

    if precision not in ("auto", "fp32", "bf16"):
        raise UsageError(
            f"precision {precision} for training",
            why="fp16 gradients underflow without scaling",
            fix="use fp32 or bf16",
        )
    target = resolve_device(device)
    dtype = choose_precision(target, precision)  # type: ignore[arg-type]
    start = find_model(weights).path if weights is not None else None
    gathered = gather(data, seed=chosen.seed)
    try:
        from covos.training.loop import Progress
        from covos.training.loop import train as run
    except ImportError as error:
        raise EnvironmentProblem(
            "training needs optional packages", why=str(error), fix="pip install 'covos[train]'"
        ) from error
    configure_threads()
    total = sum(len(dataset) for dataset in gathered.train)
    measured = f"measured on {gathered.validation.name}" if gathered.validation else "nothing to measure on"
    if not quiet:
        names = ", ".join(f"{dataset.name} ({len(dataset)})" for dataset in gathered.train)
        typer.echo(f"{total} videos and pictures: {names}; {measured}", err=True)
        typer.echo(f"a checkpoint every {chosen.checkpoint_every} steps; stopped, it goes on from the last", err=True)

    def show(progress: Progress) -> None:
        if quiet:
            return
        if progress.step % 20 == 0 or progress.step == progress.steps:
            left = (progress.steps - progress.step) * progress.seconds_per_step / 60
            typer.echo(
                f"step {progress.step}/{progress.steps}  loss {progress.loss:.3f}  "
                f"{progress.seconds_per_step:.2f} s a step  {left:.0f} min left",
                err=True,
            )
        if progress.validation is not None:
            typer.echo(f"validation  J {progress.validation.j:.3f}  F {progress.validation.f:.3f}", err=True)

    run(
        gathered.train,
        validation=gathered.validation,
        recipe=chosen,
        folder=output,
        device=target,
        precision=dtype,
        weights=start,
        workers=workers,
        on_step=show,
    )
    typer.echo(str(output / "last.safetensors"))
