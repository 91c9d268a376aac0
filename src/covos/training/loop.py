"""The training loop, the same for every kind of training."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from covos.core.errors import CheckpointError, CovosError, UsageError
from covos.core.signals import DeferredSignals
from covos.data import Dataset
from covos.models.checkpoints import Card, load_weights, read_card, sha256_of
from covos.training.distributed import ALONE, Team, iterate_batches
from covos.training.registry import make_task
from covos.training.run_folder import LOG_EVERY, Keeper, State, make_card, restore_checkpoint
from covos.training.task import Recipe, Task, split, to_device
from covos.training.validate import Validation

# Learning rate over the steps.


def rate_at(step: int, *, steps: int, warmup: int, power: float) -> float:
    """Factor on the peak learning rate: linear warm-up, then (1 - progress) ** power (DeepLab, section 4.1).

    Args:
        step: 0-based.
        steps: In all.
        warmup: Steps until the peak.
        power: Exponent of the decay.

    Returns:
        In (0, 1].
    """
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return float((1 - (step - warmup) / max(steps - warmup, 1)) ** power)


# Exponential moving average of a network's weights (Polyak & Juditsky, 1992).

Network = TypeVar("Network", bound=nn.Module)


def make_average(network: Network) -> Network:
    """A copy that holds the average: in evaluation mode, without gradients."""
    average = copy.deepcopy(network).eval()
    return average.requires_grad_(False)


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, *, decay: float, step: int) -> None:
    """Move the average towards the network, buffers (batch-norm statistics) too.

    Args:
        average: From `make_average`.
        network: As it is after this step.
        decay: In the long run; at the start (1 + step) / (10 + step) if less, so that the first weights are forgotten.
        step: 0-based.
    """
    rate = 1 - min(decay, (1 + step) / (10 + step))
    moving, towards = [], []
    for kept, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if kept.dtype.is_floating_point:
            moving.append(kept)
            towards.append(new)
        else:
            kept.copy_(new)
    # One kernel for all, as `torch.optim.swa_utils` does it: hundreds of small ones take a GPU longer than the step.
    torch._foreach_lerp_(moving, towards, rate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What the loop tells its caller after each step.

    Attributes:
        step: Steps done.
        steps: Steps in all.
        loss: Mean of the total loss over the last steps.
        seconds_per_step: Mean over the last steps.
        validation: On the steps that measured.
    """

    step: int
    steps: int
    loss: float
    seconds_per_step: float
    validation: Validation | None = None


class Objective(nn.Module):
    """Network and losses as one module: what several processes share is a forward pass that ends in a loss."""

    def __init__(self, task: Task, network: nn.Module, *, precision: torch.dtype) -> None:
        super().__init__()
        self.task = task
        self.network = network
        self.precision = precision

    def forward(self, batch: Any) -> dict[str, Tensor]:
        """The losses of a batch, by name."""
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
    team: Team = ALONE,
    on_step: Callable[[Progress], None] = lambda progress: None,
    on_start: Callable[[str], None] = lambda line: None,
) -> Card:
    """Train a network; continue where a run in the same folder stopped.

    The folder gets ``recipe.json``, ``checkpoint.pt``, TensorBoard's files, ``history.jsonl``, ``summary.html``, and
    the averaged weights as ``best.safetensors`` (highest validation J), ``last.safetensors`` and, if the recipe counts
    epochs, one file for each, every one with a card (``.json``).

    SIGINT and SIGTERM let the step be finished; then a checkpoint is written before the signal takes its effect.

    Args:
        datasets: To train on.
        validation: To measure on; None measures nothing.
        recipe: Settings; they decide what is trained.
        folder: Of the run.
        device: Where to compute.
        precision: float32, or bfloat16 by autocast.
        weights: Start from these, to fine-tune them. A run that is continued has its own.
        workers: Loader processes; their number changes nothing but the speed.
        team: The processes that share each step; every one of them calls this, after they have joined.
        on_step: Called after each step.
        on_start: Called once, before the first step, with what the network starts from in words.

    Returns:
        The card of the last weights.

    Raises:
        CheckpointError: The folder holds a run with another recipe or from other weights, or ``weights`` are of
            another network.
        InputError: The data sets lack what the recipe trains on.
        UsageError: The run is done, or a step cannot be divided among the processes.
        CovosError: The loss is not a number.
        KeyboardInterrupt, SystemExit: A signal came.
    """
    recipe.check_division(processes=team.size)
    task = make_task(recipe, datasets)
    batches = task.batches(team)
    state, start = _start(task, folder=folder, device=device, weights=weights)
    if state.step >= task.steps and not state.due:
        raise UsageError(
            f"the run in {folder} is done",
            why=f"its checkpoint is at step {state.step} of {task.steps}",
            fix="choose another folder, or take its last.safetensors",
        )
    on_start(f"starts from {start}")
    objective = team.parallel(Objective(task, state.network, precision=precision), partial=task.partial)
    keeper = None
    if team.leads:
        folder.mkdir(parents=True, exist_ok=True)
        keeper = Keeper(
            folder, task=task, datasets=datasets, validation=validation, state=state, device=device, precision=precision
        )
    recent: list[tuple[float, float]] = []
    with DeferredSignals() as signals, keeper or nullcontext():
        if keeper is not None and state.due:
            keeper.settle(state, signals)
        clock = time.perf_counter()
        for batch in iterate_batches(batches, start=state.step, stop=task.steps, workers=workers):
            losses, stop = take_step(
                state, objective, to_device(batch, device), task, team=team, stopping=lambda: signals.number is not None
            )
            now = time.perf_counter()
            recent = [*recent[-LOG_EVERY + 1 :], (losses["total"], now - clock)]
            measured = None
            if keeper is not None:
                keeper.note(state, losses)
                measured = keeper.settle(state, signals)
            on_step(
                Progress(
                    step=state.step,
                    steps=task.steps,
                    loss=sum(loss for loss, _ in recent) / len(recent),
                    seconds_per_step=sum(seconds for _, seconds in recent) / len(recent),
                    validation=measured,
                )
            )
            if stop and state.step < task.steps:
                if keeper is not None:
                    keeper.checkpoint(state)
                signals.take_effect()
            # Measuring and writing are no part of a step's time.
            clock = time.perf_counter()
    return make_card(task, datasets, measured=None, state=state) if keeper is None else keeper.card


def _start(task: Task, *, folder: Path, device: torch.device, weights: Path | None) -> tuple[State, str]:
    torch.manual_seed(task.recipe.seed)
    network = task.make_network()
    origin = None if weights is None else _origin(weights, task)
    checkpoint = folder / "checkpoint.pt"
    start = f"the checkpoint in {folder}"
    if not checkpoint.exists():
        start = task.fresh_start if weights is None else str(weights)
        if weights is None:
            task.fill(network)
        else:
            load_weights(weights, network)
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    state = State(network, make_average(network), task.make_optimizer(network), started_from=origin)
    if checkpoint.exists():
        restore_checkpoint(checkpoint, state, recipe=task.recipe)
        if origin is not None and (state.started_from or {}).get("sha256") != origin["sha256"]:
            raise CheckpointError(
                f"the run in {folder} was not started from {weights}",
                why="it goes on with the weights of its checkpoint, whatever else is given",
                fix="leave --weights out to continue it, or start anew in another folder",
            )
    return state, start


def _origin(weights: Path, task: Task) -> dict[str, Any]:
    """What a card says of the weights that a run was started from.

    Raises:
        CheckpointError: They are of another network.
    """
    card = read_card(weights)
    if card is not None and card.architecture != task.architecture:
        raise CheckpointError(
            f"{weights} is for the network {card.architecture}",
            why=f"the recipe trains {task.architecture}",
            fix="choose weights of that network, or a recipe for these",
        )
    return {"sha256": sha256_of(weights), "recipe": {} if card is None else card.recipe}


def take_step(
    state: State, objective: nn.Module, batch: Any, task: Task, *, team: Team, stopping: Callable[[], bool]
) -> tuple[dict[str, float], bool]:
    """One change of the weights.

    Args:
        state: Is changed.
        objective: An `Objective`, as the team shares it.
        batch: This process's share of the step, on its device.
        task: What is trained.
        team: The processes that share the step.
        stopping: Whether this process was asked to stop, when the step is computed.

    Returns:
        The losses by name, and whether a process was asked to stop.

    Raises:
        CovosError: The loss is not a number.
    """
    recipe = task.recipe
    rate = rate_at(state.step, steps=task.steps, warmup=recipe.warmup, power=recipe.power)
    for group in state.optimizer.param_groups:
        group["lr"] = group["peak"] * rate
    state.network.train()
    state.optimizer.zero_grad(set_to_none=True)
    sums: dict[str, Tensor] = {}
    for index, part in enumerate(split(batch, recipe.accumulate), start=1):
        with team.averaging(objective, wanted=index == recipe.accumulate):
            losses = objective(part)
            (losses["total"] / recipe.accumulate).backward()
        for name, value in losses.items():
            part_of_step = value.detach() / recipe.accumulate
            sums[name] = sums[name] + part_of_step if name in sums else part_of_step
    # Asked for once a step: each question makes the processor wait for a GPU.
    found = torch.stack(list(sums.values())).tolist()
    *means, stop = team.mean([*found, float(stopping())], device=losses["total"].device)
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
