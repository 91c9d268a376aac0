"""`covos train`: train a network by a recipe."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from covos.cli.terminal import say

if TYPE_CHECKING:
    import torch

    from covos.training.check import DataCheck
    from covos.training.distributed import ProcessGroup
    from covos.training.estimate import TimeEstimate
    from covos.training.gather import TrainingData
    from covos.training.loop import StepReport
    from covos.training.recipe import Recipe


def train(
    recipe: Annotated[
        str,
        typer.Argument(
            help="A recipe (lite, lite-crowd, lite-duts, lite-finetune, follow, prompt, cosnet-resnet50, "
            "cosnet-resnet101), or a .toml file."
        ),
    ],
    data: Annotated[
        list[Path], typer.Option("--data", help="A data set, or a folder of data sets; may be given several times.")
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder of the run; continued if it holds one.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="How long: the recipe's steps.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Replace a field of the recipe, such as steps=500.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option("-w", "--weights", help="Fine-tune this model: a name, or a .safetensors file.")
    ] = None,
    check: Annotated[
        bool | None,
        typer.Option(
            "--check/--no-check", help="Only look at the data and time a few steps; or begin without. Otherwise both."
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32 or bf16.")] = "auto",
    workers: Annotated[int, typer.Option(min=0, help="Loader processes.")] = 1,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress.")] = False,
) -> None:
    """Train a network; stopped and started again, it goes on where its last checkpoint is.

    Before a new run, the data are looked at, and a few steps tell how long it will take.

    On several GPUs: torchrun --nproc-per-node N -m covos train ...
    """
    from covos.core.errors import EnvironmentProblem, UsageError
    from covos.training.registry import STARTS, load_recipe

    overrides = [*(settings or ()), *([f"steps={steps}"] if steps is not None else ())]
    chosen = load_recipe(recipe, overrides=tuple(overrides))
    from covos.core.device import configure_threads
    from covos.models.registry import find_model
    from covos.training.distributed import joined, process_group_from_environment
    from covos.training.gather import gather

    if precision not in ("auto", "fp32", "bf16"):
        raise UsageError(
            f"precision {precision} for training",
            why="fp16 gradients underflow without scaling",
            fix="use fp32 or bf16",
        )
    if output is None and not check:
        raise UsageError(
            "no folder for the run", why="weights and checkpoints must go somewhere", fix="give one: -o runs/mine"
        )
    group = process_group_from_environment()
    chosen.check_division(processes=group.size)
    target, dtype = _machine(device, precision, group)
    weights = weights or STARTS.get(recipe)
    start = find_model(weights).path if weights is not None else None
    gathered = gather(data, seed=chosen.seed, ratio=chosen.ratio, videos=chosen.videos)
    try:
        from covos.training.loop import train as run
    except ImportError as error:
        raise EnvironmentProblem(
            "training needs optional packages", why=str(error), fix="pip install 'covos[train]'"
        ) from error
    configure_threads()
    console = Console(quiet=quiet or not group.leads)
    if group.leads and (check or (check is None and not _goes_on(output))):
        _look(gathered, chosen, console, device=target, precision=dtype, workers=workers, group=group, only=bool(check))
    if output is None or check:
        return
    console.begin(gathered, group=group, output=output)
    with joined(group, target), console.explaining_stops(output / "checkpoint.pt"):
        run(
            gathered.train,
            validation=gathered.validation,
            recipe=chosen,
            folder=output,
            device=target,
            precision=dtype,
            weights=start,
            workers=workers,
            group=group,
            on_step=console.show,
            on_start=console.note,
        )
    if group.leads:
        from covos.training.run_folder import describe_outcome

        if outcome := describe_outcome(output):
            console.note(outcome)
        say(str(output / "last.safetensors"))


def _goes_on(output: Path | None) -> bool:
    """Return True if the folder holds a run: its data were looked at when it began."""
    return output is not None and (output / "checkpoint.pt").exists()


def _look(
    gathered: TrainingData,
    recipe: Recipe,
    console: Console,
    *,
    device: torch.device,
    precision: torch.dtype,
    workers: int,
    group: ProcessGroup,
    only: bool,
) -> None:
    """Say what the data hold and how long it will take; on stdout if that is all that is asked for.

    Raises:
        InputError: The data cannot be trained on.
    """
    from covos.core.progress import Progress
    from covos.training.check import check_data
    from covos.training.estimate import estimate_time

    with Progress("look at the data", quiet=console.quiet) as progress:
        found = check_data(gathered, on_frames=progress.advance)
    tell = say if only else console.note
    for line in lines_of(found):
        tell(line)
    found.refuse()
    if group.size > 1:  # the others wait, and what one process takes alone is not what they take together
        return
    console.note("timing a few steps")
    console.estimate = estimate_time(
        recipe,
        gathered.train,
        validation=gathered.validation,
        device=device,
        precision=precision,
        workers=workers,
    )
    steps = console.estimate.steps
    if recipe.warmup >= steps:
        say(f"warning: the rate rises for {recipe.warmup} of {steps} steps and is never full: --set warmup=0")
    say(f"time: {console.estimate}")


def _machine(device: str, precision: str, group: ProcessGroup) -> tuple[torch.device, torch.dtype]:
    """Return the device and the number type that this process computes with."""
    import torch

    from covos.core.device import choose_precision, resolve_device

    target = resolve_device(device)
    if group.size > 1 and target.type == "cuda":
        target = resolve_device(f"cuda:{group.local_rank}")
    dtype = choose_precision(target, precision)  # type: ignore[arg-type]
    # What auto takes on GPUs without bfloat16: good for running a network, not for gradients.
    return target, torch.float32 if dtype == torch.float16 else dtype


# What `covos train` says.

EVERY = 20
"""Steps between two lines of progress."""


class Console:
    """Says on stderr how a training goes.

    Args:
        quiet: Say nothing.
    """

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self.estimate: TimeEstimate | None = None
        self.paces: list[float] = []

    def note(self, line: str) -> None:
        """Say a line."""
        if not self.quiet:
            say(line, err=True)

    def begin(self, gathered: TrainingData, *, group: ProcessGroup, output: Path) -> None:
        """Say what is trained on."""
        total = sum(len(dataset) for dataset in gathered.train)
        measured = f"measured on {gathered.validation.name}" if gathered.validation else "nothing to measure on"
        names = ", ".join(f"{dataset.name} ({len(dataset)})" for dataset in gathered.train)
        self.note(f"{total} videos and pictures: {names}; {measured}")
        if group.size > 1:
            self.note(f"{group.size} processes share each step")
        self.note(f"if you stop it, the same command goes on from its last checkpoint in {output}")

    def show(self, report: StepReport) -> None:
        """Say how far it is, now and then."""
        if report.step % EVERY == 0 or report.step == report.steps:
            self.note(
                f"step {report.step}/{report.steps}  loss {report.loss:.3f}  "
                f"{report.seconds_per_step:.2f} s a step" + self._left(report)
            )
        if report.validation is not None:
            self.note(f"validation  J {report.validation.j:.3f}  F {report.validation.f:.3f}")

    def _left(self, report: StepReport) -> str:
        from covos.training.estimate import TimeEstimate, spoken

        if report.step == report.steps:
            return ""
        # The mean of all that was shown: steps of other sizes take other times, and 20 are few.
        self.paces.append(report.seconds_per_step)
        estimate = self.estimate or TimeEstimate(steps=report.steps, sizes={})
        seconds = estimate.left(report.step, seconds_per_step=sum(self.paces) / len(self.paces))
        return f"  about {spoken(seconds)} left"

    @contextmanager
    def explaining_stops(self, checkpoint: Path) -> Iterator[None]:
        """Say what a signal that stops the training leaves."""
        try:
            yield
        except (KeyboardInterrupt, SystemExit):
            if checkpoint.exists():
                self.note(f"stopped; {checkpoint} is written: the same command goes on from there")
            raise


def lines_of(found: DataCheck) -> Iterator[str]:
    """A check of the data, a line for each data set and each problem."""
    yield from found.counts
    for problem in found.problems:
        cases = f": {', '.join(problem.examples)}" if problem.examples else ""
        yield f"{problem.severity}: {problem.what}{cases}"
