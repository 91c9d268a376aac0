"""`covos train`: train a network by a recipe."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import torch

    from covos.training.distributed import Team
    from covos.training.loop import Progress
    from covos.training.sources import TrainingData


def train(
    recipe: Annotated[
        str,
        typer.Argument(
            help="A recipe (lite, lite-video, follow, prompt, cosnet-resnet50, cosnet-resnet101), or a .toml file."
        ),
    ],
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
    """Train a network; stopped and started again, it goes on where its last checkpoint is.

    On several GPUs: torchrun --nproc-per-node N -m covos train ...
    """
    from covos.errors import EnvironmentProblem, UsageError
    from covos.training.registry import load_recipe

    chosen = load_recipe(recipe, overrides=tuple(settings or ()))
    from covos.models.registry import find_model
    from covos.runtime.threads import configure_threads
    from covos.training.distributed import joined, team_of_environment
    from covos.training.sources import gather

    if precision not in ("auto", "fp32", "bf16"):
        raise UsageError(
            f"precision {precision} for training",
            why="fp16 gradients underflow without scaling",
            fix="use fp32 or bf16",
        )
    team = team_of_environment()
    chosen.check_division(processes=team.size)
    target, dtype = _machine(device, precision, team)
    start = find_model(weights).path if weights is not None else None
    gathered = gather(data, seed=chosen.seed, ratio=chosen.ratio, videos=chosen.videos)
    try:
        from covos.training.loop import train as run
    except ImportError as error:
        raise EnvironmentProblem(
            "training needs optional packages", why=str(error), fix="pip install 'covos[train]'"
        ) from error
    configure_threads()
    console = _Console(quiet=quiet or not team.leads)
    console.begin(gathered, team=team, output=output)
    with joined(team, target), console.explaining_stops(output / "checkpoint.pt"):
        run(
            gathered.train,
            validation=gathered.validation,
            recipe=chosen,
            folder=output,
            device=target,
            precision=dtype,
            weights=start,
            workers=workers,
            team=team,
            on_step=console.show,
            on_start=console.note,
        )
    if team.leads:
        typer.echo(str(output / "last.safetensors"))


def _machine(device: str, precision: str, team: Team) -> tuple[torch.device, torch.dtype]:
    """Where this process computes, and how exactly."""
    import torch

    from covos.runtime.device import resolve_device
    from covos.runtime.precision import choose_precision

    target = resolve_device(device)
    if team.size > 1 and target.type == "cuda":
        target = resolve_device(f"cuda:{team.local_rank}")
    dtype = choose_precision(target, precision)  # type: ignore[arg-type]
    # What auto takes on GPUs without bfloat16: good for running a network, not for gradients.
    return target, torch.float32 if dtype == torch.float16 else dtype


class _Console:
    """What a training says on stderr."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet

    def note(self, line: str) -> None:
        """Say a line."""
        if not self.quiet:
            typer.echo(line, err=True)

    def begin(self, gathered: TrainingData, *, team: Team, output: Path) -> None:
        """Say what is trained on."""
        total = sum(len(dataset) for dataset in gathered.train)
        measured = f"measured on {gathered.validation.name}" if gathered.validation else "nothing to measure on"
        names = ", ".join(f"{dataset.name} ({len(dataset)})" for dataset in gathered.train)
        self.note(f"{total} videos and pictures: {names}; {measured}")
        if team.size > 1:
            self.note(f"{team.size} processes share each step")
        self.note(f"if you stop it, the same command goes on from its last checkpoint in {output}")

    def show(self, progress: Progress) -> None:
        """Say how far it is, now and then."""
        if progress.step % 20 == 0 or progress.step == progress.steps:
            left = (progress.steps - progress.step) * progress.seconds_per_step / 60
            self.note(
                f"step {progress.step}/{progress.steps}  loss {progress.loss:.3f}  "
                f"{progress.seconds_per_step:.2f} s a step  {left:.0f} min left"
            )
        if progress.validation is not None:
            self.note(f"validation  J {progress.validation.j:.3f}  F {progress.validation.f:.3f}")

    @contextmanager
    def explaining_stops(self, checkpoint: Path) -> Iterator[None]:
        """Say what a signal that stops the training leaves."""
        try:
            yield
        except (KeyboardInterrupt, SystemExit):
            if checkpoint.exists():
                self.note(f"stopped; {checkpoint} is written: the same command goes on from there")
            raise
