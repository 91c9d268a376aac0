"""The training loop, the same for every kind of training."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from covos.core.errors import EnvironmentProblem, UsageError, is_out_of_memory, refusal
from covos.core.signals import DeferredSignals
from covos.data import Dataset
from covos.training.data_record import refuse_other_data
from covos.training.distributed import SINGLE_PROCESS, ProcessGroup
from covos.training.divergence import diverged
from covos.training.events import Skipped, Started, StepDone, TrainingEvent
from covos.training.loading import iterate_batches
from covos.training.measuring import named
from covos.training.memory import peak_memory
from covos.training.recipe import Recipe
from covos.training.registry import make_task
from covos.training.run_folder import RunFolder, finished
from covos.training.run_log import LOG_EVERY, RunLog
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
    datasets: Sequence[Dataset],
    *,
    validation: Sequence[Dataset] = (),
    recipe: Recipe,
    folder: Path,
    device: torch.device,
    precision: torch.dtype,
    weights: Path | None = None,
    workers: int = 1,
    group: ProcessGroup = SINGLE_PROCESS,
    extend: bool = False,
    on_event: Callable[[TrainingEvent], None] = lambda event: None,
) -> None:
    """Train a network; continue where a run in the same folder stopped.

    The folder gets ``recipe.json``, ``data.json``, ``checkpoint.pt``, TensorBoard's files, ``history.jsonl``, and the
    averaged weights as ``best.safetensors`` (highest mean J of the validation sets), ``last.safetensors`` and, if the
    recipe counts epochs, one file for each, every one with a card (``.json``).

    SIGINT and SIGTERM let the step be finished; then a checkpoint is written before the signal takes its effect.

    A run that is continued has its own weights; else it starts from ``weights``, to fine-tune them, and these are
    measured before the first step. If it is done, its end is reported again, and nothing else. ``precision`` is
    float32, or bfloat16 by autocast. Every process of the group calls this, once they have joined. Without
    ``validation``, nothing is measured. With ``extend``, a run may go on to more steps or epochs than it was begun
    with: from there it has the rates that a run of the new length has.

    ``on_event`` gets the events, see `covos.training.TrainingEvent`; only the first of several processes measures,
    saves and finishes. An error that it raises ends the run.

    Raises:
        CheckpointError: The folder holds a run with another recipe, on other data or from other weights, or ``weights``
            are of another network.
        InputError: The data sets lack what the recipe trains on, or many of their files cannot be read.
        UsageError: A step cannot be divided among the processes, or there is no run to extend.
        IncompleteError: The training diverged: a loss or a weight is not a finite number.
        KeyboardInterrupt, SystemExit: A signal came.
    """
    recipe.check_division(processes=group.size)
    task = make_task(recipe, datasets)
    batches = task.batches(group)
    refuse_other_data(folder, datasets)
    state, start = start_training(task, folder=folder, device=device, weights=weights, extend=extend)
    if state.step >= task.steps and not state.due:
        if group.leads:
            on_event(finished(folder, state))
        return
    log = run = None
    listeners = [on_event]

    def tell(event: TrainingEvent) -> None:
        for listener in listeners:
            listener(event)

    if group.leads:
        folder.mkdir(parents=True, exist_ok=True)
        log = RunLog(folder, step=state.step)
        listeners.insert(0, log)
    with DeferredSignals() as signals, nullcontext() if log is None else closing(log):
        tell(
            Started(step=state.step, steps=task.steps, origin=start, folder=folder, validation=tuple(named(validation)))
        )
        objective = group.parallel(Objective(task, state.network, precision=precision), partial=task.partial)
        if group.leads:
            run = RunFolder(
                folder,
                task=task,
                datasets=datasets,
                validation=validation,
                state=state,
                device=device,
                precision=precision,
                tell=tell,
            )
            run.begin(state, signals)
        recent: list[tuple[float, float]] = []
        clock = time.perf_counter()
        for loaded in iterate_batches(batches, start=state.step, stop=task.steps, workers=workers):
            waiting = time.perf_counter() - clock
            for file in state.skips.add(loaded.drawn, loaded.unreadable):
                tell(Skipped(step=state.step + 1, what=file.what, why=file.why))
            state.skips.refuse_many()
            losses, stop = take_step(
                state,
                objective,
                to_device(loaded.batch, device),
                task,
                group=group,
                stopping=lambda: signals.number is not None,
                checkpoint=folder / "checkpoint.pt",
            )
            seconds = time.perf_counter() - clock
            recent = [*recent[-LOG_EVERY + 1 :], (losses["total"], seconds)]
            done = StepDone(
                step=state.step,
                steps=task.steps,
                losses=losses,
                loss=sum(loss for loss, _ in recent) / len(recent),
                rates=rates_of(state.optimizer),
                frames=task.frames(loaded.batch) * group.size,
                seconds=seconds,
                waiting=waiting,
                seconds_per_step=sum(seconds for _, seconds in recent) / len(recent),
                memory=peak_memory(device),
            )
            if run is not None:
                run.count_step(done, state)
            tell(done)
            if run is not None:
                run.finish_step(state, signals)
            if stop and state.step < task.steps:
                if run is not None:
                    run.checkpoint(state)
                if group.size > 1:
                    # Torchrun ends the others as soon as one has ended: each must be able to finish.
                    group.wait()
                    signals.ignore_further()
                signals.take_effect()
            # Measuring and writing are no part of a step's time.
            clock = time.perf_counter()
        if run is not None:
            tell(finished(folder, state))


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
    with _explaining_memory(task.recipe, processes=group.size):
        return _take_step(state, objective, batch, task, group=group, stopping=stopping, checkpoint=checkpoint)


def _take_step(
    state: TrainingState,
    objective: nn.Module,
    batch: Any,
    task: Task[Any],
    *,
    group: ProcessGroup,
    stopping: Callable[[], bool],
    checkpoint: Path | None = None,
) -> tuple[dict[str, float], bool]:
    recipe = task.recipe
    rate = rate_at(state.step, steps=task.steps, warmup=recipe.warmup, power=recipe.power)
    for parameters in state.optimizer.param_groups:
        parameters["lr"] = parameters["peak"] * rate * task.rate_factor(parameters, state.step)
    state.network.train()
    state.optimizer.zero_grad(set_to_none=True)
    sums: dict[str, Tensor] = {}
    for index, part in enumerate(split(batch, recipe.accumulate), start=1):
        with group.averaging(objective, wanted=index == recipe.accumulate):
            losses = objective(part)
            (losses["total"] / recipe.accumulate).backward()
        for name, value in losses.items():
            part_of_step = value.detach() / recipe.accumulate
            sums[name] = sums[name] + part_of_step if name in sums else part_of_step
    # Asked for once a step: each question makes the processor wait for a GPU.
    found = torch.stack(list(sums.values())).tolist()
    *means, stop = group.mean([*found, float(stopping())], device=losses["total"].device)
    values = dict(zip(sums, means, strict=True))
    if not math.isfinite(values["total"]):
        raise diverged(
            f"the loss is not finite at step {state.step + 1}: {values['total']}", recipe=recipe, checkpoint=checkpoint
        )
    if recipe.gradient_norm:
        torch.nn.utils.clip_grad_norm_(state.network.parameters(), recipe.gradient_norm)
    state.optimizer.step()
    update_average(state.average, state.network, decay=recipe.ema, step=state.step, infinite=state.infinite)
    state.step += 1
    return values, stop > 0


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
            fix=f"--set accumulate={2 * recipe.accumulate} computes it in more parts; or lower {' or '.join(lower)} "
            "with --set; the last checkpoint is intact",
        ) from error
