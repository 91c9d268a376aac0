"""The training loop, the same for every kind of training."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset as TorchDataset

from covos.core.errors import CovosError, EnvironmentProblem, UsageError, is_out_of_memory, refusal
from covos.core.files import LOCK, exclusive
from covos.core.signals import DeferredSignals
from covos.training.data_record import refuse_other_data
from covos.training.distributed import ProcessGroup
from covos.training.divergence import diverged
from covos.training.events import Skipped, Started, StepDone, TrainingEvent
from covos.training.loading import iterate_batches
from covos.training.measuring import named
from covos.training.memory import peak_memory
from covos.training.prepared import Training
from covos.training.recipe import Recipe
from covos.training.registry import make_task
from covos.training.run_folder import RunFolder, finished
from covos.training.run_log import LOG_EVERY, RunLog
from covos.training.setting import setting
from covos.training.state import TrainingState, start_training, update_average
from covos.training.task import Task, split, to_device


def rate_at(step: int, *, steps: int, warmup: int, power: float) -> float:
    """Return the factor on the peak rate: linear warm-up, then (1 - progress) ** power (DeepLab, section 4.1)."""
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return float((1 - (step - warmup) / max(steps - warmup, 1)) ** power)


class Objective(nn.Module):
    """Join network and losses in one module: several processes share a forward pass that ends in a loss."""

    def __init__(self, task: Task[Any], network: nn.Module, *, precision: torch.dtype) -> None:
        super().__init__()
        self.task, self.network, self.precision = task, network, precision

    def forward(self, batch: Any) -> dict[str, Tensor]:
        """Return the losses of a batch, by name."""
        losses = self.task.losses(self.network, batch, precision=self.precision)
        if "total" not in losses:
            raise UsageError(
                f"{type(self.task).__name__}.losses gave no total",
                why=f'"total" is minimised, and it returned: {", ".join(losses) or "nothing"}',
                fix="return the sum to minimise under the name total",
            )
        return losses


def train(
    training: Training,
    *,
    folder: Path,
    extend: bool = False,
    on_event: Callable[[TrainingEvent], None] = lambda event: None,
) -> None:
    """Train a network; continue where a run in the same folder stopped.

    The folder gets ``recipe.json``, ``data.json``, ``checkpoint.pt``, TensorBoard's files, ``history.jsonl``, and the
    averaged weights as ``best.safetensors`` (highest mean J of the validation sets), ``last.safetensors`` and, if the
    recipe counts epochs, one file for each, every one with a card (``.json``).

    SIGINT and SIGTERM let the step be finished; then a checkpoint is written before the signal takes its effect.

    A run that is continued has its own weights; else it starts from those of the training, and these are measured
    before the first step. If it is done, its end is reported again, and nothing else. Every process of the group calls
    this, once they have joined. With ``extend``, a run may go on to more steps or epochs than it was begun with. From
    there it has the rates that a run of the new length has.

    ``on_event`` gets the events, see `covos.training.TrainingEvent`; only the first of several processes measures,
    saves and finishes. An error that it raises ends the run.

    Raises:
        CheckpointError: The folder holds a run with another recipe, on other data or from other weights, or the weights
            are of another network.
        InputError: The data sets lack what the recipe trains on, or many of their files cannot be read.
        UsageError: A step cannot be divided among the processes, or there is no run to extend.
        EnvironmentProblem: Another training is at work in the folder.
        IncompleteError: The training diverged: a loss or a weight is not a finite number.
        KeyboardInterrupt, SystemExit: A signal came.
    """
    group, data = training.group, training.data
    training.recipe.check_division(processes=group.size)
    task = make_task(training.recipe, data.train)
    batches = task.batches(group)
    with _alone(folder, group):
        refuse_other_data(folder, data.train)
        state, start = start_training(
            task, folder=folder, device=training.device, weights=training.start, extend=extend, processes=group.size
        )
        if state.step >= task.steps and not state.due:
            if group.leads:
                on_event(finished(folder, state))
            return
        with (
            DeferredSignals() as signals,
            _telling(on_event, folder=folder, step=state.step, leads=group.leads) as tell,
        ):
            measured = tuple(named(data.validation))
            tell(Started(step=state.step, steps=task.steps, origin=start, folder=folder, validation=measured))
            _Loop(training, task=task, state=state, folder=folder, signals=signals, tell=tell).run(batches)


@contextmanager
def _alone(folder: Path, group: ProcessGroup) -> Iterator[None]:
    """Keep other trainings out of the folder in the block, which every process of the group enters.

    No process reads in the folder before the one that leads has it. It is made, and removed if it stays empty.

    Raises:
        EnvironmentProblem: Another training is at work in it; every process raises this.
    """
    refused: Exception | None = None
    with ExitStack() as held:
        if group.leads:
            fix = "wait until it is done, or give this training another folder"
            try:
                held.enter_context(_made(folder))
                held.enter_context(exclusive(folder / LOCK, fix=fix))
            except (CovosError, OSError) as error:
                refused = error
        if (refused := group.of_leader(refused)) is not None:
            raise refused
        yield


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """Make a folder with its parents for a block, and remove of these what stays empty."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        for each in missing:
            with suppress(OSError):  # it holds something
                each.rmdir()


@contextmanager
def _telling(
    on_event: Callable[[TrainingEvent], None], *, folder: Path, step: int, leads: bool
) -> Iterator[Callable[[TrainingEvent], None]]:
    """Give what takes the events in the block: the listener, and before it the log of the process that leads."""
    if not leads:
        yield on_event
        return
    with closing(RunLog(folder, step=step)) as log:

        def tell(event: TrainingEvent) -> None:
            log(event)
            on_event(event)

        yield tell


class _Loop:
    """The steps of a run, one after another: each is told, and of the process that leads, written and measured."""

    def __init__(
        self,
        training: Training,
        *,
        task: Task[Any],
        state: TrainingState,
        folder: Path,
        signals: DeferredSignals,
        tell: Callable[[TrainingEvent], None],
    ) -> None:
        self.training, self.task, self.state = training, task, state
        self.folder, self.signals, self.tell = folder, signals, tell
        objective = Objective(task, state.network, precision=training.precision)
        self.objective = training.group.parallel(objective, partial=task.partial)
        self.recent: list[tuple[float, float]] = []
        self.written: RunFolder | None = None
        if training.group.leads:
            self.written = RunFolder(folder, training=training, task=task, state=state, tell=tell)

    def run(self, batches: TorchDataset[Any]) -> None:
        """Take the steps that are left."""
        state, written = self.state, self.written
        if written is not None:
            written.begin(state, self.signals)
        clock = time.perf_counter()
        for loaded in iterate_batches(batches, start=state.step, stop=self.task.steps, workers=self.training.workers):
            waiting = time.perf_counter() - clock
            for file in state.skips.add(loaded.drawn, loaded.unreadable):
                self.tell(Skipped(step=state.step + 1, what=file.what, why=file.why))
            state.skips.refuse_many()
            losses, stop = take_step(
                state,
                self.objective,
                to_device(loaded.batch, self.training.device),
                self.task,
                group=self.training.group,
                stopping=lambda: self.signals.number is not None,
                checkpoint=self.folder / "checkpoint.pt",
            )
            done = self._done(losses, loaded.batch, seconds=time.perf_counter() - clock, waiting=waiting)
            if written is not None:
                written.count_step(done, state)
            self.tell(done)
            if written is not None:
                written.finish_step(state, self.signals)
            if stop and state.step < self.task.steps:
                self._stop()
            # Measuring and writing are no part of a step's time.
            clock = time.perf_counter()
        if written is not None:
            self.tell(finished(self.folder, state))

    def _done(self, losses: dict[str, float], batch: Any, *, seconds: float, waiting: float) -> StepDone:
        recent = self.recent = [*self.recent[-LOG_EVERY + 1 :], (losses["total"], seconds)]
        return StepDone(
            step=self.state.step,
            steps=self.task.steps,
            losses=losses,
            loss=sum(loss for loss, _ in recent) / len(recent),
            rates=rates_of(self.state.optimizer),
            frames=self.task.frames(batch) * self.training.group.size,
            seconds=seconds,
            waiting=waiting,
            seconds_per_step=sum(seconds for _, seconds in recent) / len(recent),
            memory=peak_memory(self.training.device),
        )

    def _stop(self) -> None:
        """Let the signal that came take its effect, once everything that the next step depends on is written."""
        if self.written is not None:
            self.written.checkpoint(self.state)
        if self.training.group.size > 1:
            # Torchrun ends the others as soon as one has ended: each must be able to finish.
            self.training.group.wait()
            self.signals.ignore_further()
        self.signals.take_effect()


def rates_of(optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """Return the learning rate of each group of parameters by its name."""
    groups = enumerate(optimizer.param_groups)
    return {group.get("name") or f"group_{number}": float(group["lr"]) for number, group in groups}


def take_step(
    state: TrainingState,
    objective: nn.Module,
    batch: Any,
    task: Task[Any],
    *,
    group: ProcessGroup,
    stopping: Callable[[], bool],
    checkpoint: Path | None = None,
) -> tuple[dict[str, float], bool]:
    """Change the weights once; return the losses by name, and True if a process was asked to stop.

    Raises:
        EnvironmentProblem: The memory ran out.
        IncompleteError: The loss is not a finite number; ``checkpoint`` is the file of the run that is then named.
    """
    recipe = task.recipe
    with _explaining_memory(recipe, processes=group.size):
        rate = rate_at(state.step, steps=task.steps, warmup=recipe.warmup, power=recipe.power)
        for parameters in state.optimizer.param_groups:
            parameters["lr"] = parameters["peak"] * rate * task.rate_factor(parameters, state.step)
        state.network.train()
        state.optimizer.zero_grad(set_to_none=True)
        sums = _add_gradients(objective, batch, parts=recipe.accumulate, group=group)
        # Asked for once a step: each question makes the processor wait for a GPU.
        found = torch.stack(list(sums.values())).tolist()
        *means, stop = group.mean([*found, float(stopping())], device=sums["total"].device)
        values = dict(zip(sums, means, strict=True))
        if not math.isfinite(values["total"]):
            raise diverged(
                f"the loss is not finite at step {state.step + 1}: {values['total']}",
                recipe=recipe,
                checkpoint=checkpoint,
            )
        if recipe.gradient_norm:
            torch.nn.utils.clip_grad_norm_(state.network.parameters(), recipe.gradient_norm)
        state.optimizer.step()
        update_average(state.average, state.network, decay=recipe.ema, step=state.step, infinite=state.infinite)
        state.step += 1
        return values, stop > 0


def _add_gradients(objective: nn.Module, batch: Any, *, parts: int, group: ProcessGroup) -> dict[str, Tensor]:
    """Compute the gradients of a batch part by part; return the means of its losses, by name."""
    sums: dict[str, Tensor] = {}
    for index, part in enumerate(split(batch, parts), start=1):
        with group.averaging(objective, wanted=index == parts):
            losses = objective(part)
            (losses["total"] / parts).backward()
        for name, value in losses.items():
            part_of_step = value.detach() / parts
            sums[name] = sums[name] + part_of_step if name in sums else part_of_step
    return sums


@contextmanager
def _explaining_memory(recipe: Recipe, *, processes: int) -> Iterator[None]:
    """Name what a step's memory depends on, if it ran out."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        what, field = recipe.divided
        at_once = getattr(recipe, field) // (processes * recipe.accumulate)
        lower = [field, *(name for name in ("crop", "crops", "size") if hasattr(recipe, name))]
        raise EnvironmentProblem(
            f"out of memory in a step of {getattr(recipe, field)} {what}, {at_once} at a time",
            why=refusal(error),
            fix=setting("accumulate", 2 * recipe.accumulate)
            + f" computes it in more parts; or lower {' or '.join(lower)}; the last checkpoint is intact",
        ) from error
