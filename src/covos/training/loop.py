"""The training loop, the same for every kind of training."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from covos.core.errors import CovosError, UsageError
from covos.core.signals import DeferredSignals
from covos.data import Dataset
from covos.training.distributed import SINGLE_PROCESS, ProcessGroup
from covos.training.loading import iterate_batches
from covos.training.recipe import Recipe
from covos.training.registry import make_task
from covos.training.run_folder import LOG_EVERY, RunFolder
from covos.training.state import TrainingState, start_training, update_average
from covos.training.task import Task, split, to_device
from covos.training.validate import Validation


def rate_at(step: int, *, steps: int, warmup: int, power: float) -> float:
    """Return the factor on the peak rate: linear warm-up, then (1 - progress) ** power (DeepLab, section 4.1)."""
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return float((1 - (step - warmup) / max(steps - warmup, 1)) ** power)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """Progress of a training, as its caller is told after each step.

    Loss and seconds are means over the last steps; the validation is there on the steps that measured.
    """

    step: int
    steps: int
    loss: float
    seconds_per_step: float
    validation: Validation | None = None


class Objective(nn.Module):
    """Join network and losses in one module: several processes share a forward pass that ends in a loss."""

    def __init__(self, task: Task[Any], network: nn.Module, *, precision: torch.dtype) -> None:
        super().__init__()
        self.task, self.network, self.precision = task, network, precision

    def forward(self, batch: Any) -> dict[str, Tensor]:
        """Return the losses of a batch, by name."""
        return self.task.losses(self.network, batch, precision=self.precision)


def train(
    datasets: Sequence[Dataset],
    *,
    validation: Dataset | None,
    recipe: Recipe,
    folder: Path,
    device: torch.device,
    precision: torch.dtype,
    weights: Path | None = None,
    workers: int = 1,
    group: ProcessGroup = SINGLE_PROCESS,
    on_step: Callable[[StepReport], None] = lambda report: None,
    on_start: Callable[[str], None] = lambda line: None,
) -> None:
    """Train a network; continue where a run in the same folder stopped.

    The folder gets ``recipe.json``, ``checkpoint.pt``, TensorBoard's files, ``history.jsonl``, and the
    averaged weights as ``best.safetensors`` (highest validation J), ``last.safetensors`` and, if the recipe counts
    epochs, one file for each, every one with a card (``.json``).

    SIGINT and SIGTERM let the step be finished; then a checkpoint is written before the signal takes its effect.

    A run that is continued has its own weights; else it starts from ``weights``, to fine-tune them. ``precision`` is
    float32, or bfloat16 by autocast. Every process of the group calls this, once they have joined. ``on_start`` is told
    what the network starts from, ``on_step`` each step. Without ``validation``, nothing is measured.

    Raises:
        CheckpointError: The folder holds a run with another recipe or from other weights, or ``weights`` are of
            another network.
        InputError: The data sets lack what the recipe trains on.
        UsageError: The run is done, or a step cannot be divided among the processes.
        CovosError: The loss is not a number.
        KeyboardInterrupt, SystemExit: A signal came.
    """
    recipe.check_division(processes=group.size)
    task = make_task(recipe, datasets)
    batches = task.batches(group)
    state, start = start_training(task, folder=folder, device=device, weights=weights)
    if state.step >= task.steps and not state.due:
        raise UsageError(
            f"the run in {folder} is done",
            why=f"its checkpoint is at step {state.step} of {task.steps}",
            fix="choose another folder, or take its last.safetensors",
        )
    on_start(f"starts from {start}")
    objective = group.parallel(Objective(task, state.network, precision=precision), partial=task.partial)
    run = None
    if group.leads:
        folder.mkdir(parents=True, exist_ok=True)
        run = RunFolder(
            folder, task=task, datasets=datasets, validation=validation, state=state, device=device, precision=precision
        )
    recent: list[tuple[float, float]] = []
    with DeferredSignals() as signals, nullcontext() if run is None else closing(run):
        if run is not None and state.due:
            run.finish_step(state, signals)
        clock = time.perf_counter()
        for batch in iterate_batches(batches, start=state.step, stop=task.steps, workers=workers):
            losses, stop = take_step(
                state,
                objective,
                to_device(batch, device),
                task,
                group=group,
                stopping=lambda: signals.number is not None,
            )
            now = time.perf_counter()
            recent = [*recent[-LOG_EVERY + 1 :], (losses["total"], now - clock)]
            measured = None
            if run is not None:
                run.log_losses(state, losses)
                measured = run.finish_step(state, signals)
            on_step(
                StepReport(
                    step=state.step,
                    steps=task.steps,
                    loss=sum(loss for loss, _ in recent) / len(recent),
                    seconds_per_step=sum(seconds for _, seconds in recent) / len(recent),
                    validation=measured,
                )
            )
            if stop and state.step < task.steps:
                if run is not None:
                    run.checkpoint(state)
                signals.take_effect()
            # Measuring and writing are no part of a step's time.
            clock = time.perf_counter()


def take_step(
    state: TrainingState,
    objective: nn.Module,
    batch: Any,
    task: Task[Any],
    *,
    group: ProcessGroup,
    stopping: Callable[[], bool],
) -> tuple[dict[str, float], bool]:
    """Change the weights once; return the losses by name, and True if a process was asked to stop."""
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
    if not values["total"] < float("inf"):
        raise CovosError(
            f"the loss is {values['total']} at step {state.step}",
            why="the training diverged, or a picture holds no numbers",
            fix="lower learning_rate; the last checkpoint is intact",
        )
    if recipe.gradient_norm:
        torch.nn.utils.clip_grad_norm_(state.network.parameters(), recipe.gradient_norm)
    state.optimizer.step()
    update_average(state.average, state.network, decay=recipe.ema, step=state.step)
    state.step += 1
    return values, stop > 0
