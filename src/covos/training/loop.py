"""The training loop of covos-lite."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from covos.data import Dataset
from covos.errors import CovosError, UsageError
from covos.models.card import Card, read_card
from covos.models.encoders.efficientnet_lite import load_imagenet_weights
from covos.models.lite import CovosLite
from covos.models.weights_file import load_weights, save_weights
from covos.runtime.atomic import atomic_path
from covos.training.batches import Batch, StepBatches, iterate_batches
from covos.training.checkpoint import State, restore_checkpoint, save_checkpoint
from covos.training.ema import make_average, update_average
from covos.training.optimizer import make_optimizer
from covos.training.pictures import prediction_grid
from covos.training.provenance import make_card
from covos.training.recipe import Recipe
from covos.training.schedule import rate_at
from covos.training.step import batch_losses
from covos.training.validate import Validation, validate

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

LOG_EVERY = 20
VALIDATION_STRIDE = 5
"""Score every fifth frame while training: neighbours say the same, and the time is better spent on steps."""


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
    on_step: Callable[[Progress], None] = lambda progress: None,
) -> Card:
    """Train covos-lite; continue where a run in the same folder stopped.

    The folder gets ``recipe.json``, ``checkpoint.pt``, TensorBoard's files, and the averaged weights as
    ``best.safetensors`` (highest validation J) and ``last.safetensors``, each with a card (``.json``).

    Args:
        datasets: To train on.
        validation: To measure on; None measures nothing.
        recipe: Settings.
        folder: Of the run.
        device: Where to compute.
        precision: float32, or bfloat16 by autocast.
        weights: Start from these, to fine-tune them; from ImageNet's if not given.
        workers: Loader processes; their number changes nothing but the speed.
        on_step: Called after each step.

    Returns:
        The card of the last weights.

    Raises:
        CheckpointError: The folder holds a run with another recipe.
        CovosError: The loss is not a number.
    """
    from torch.utils.tensorboard import SummaryWriter

    folder.mkdir(parents=True, exist_ok=True)
    batches = StepBatches(datasets, recipe)
    state = _start(recipe, folder=folder, device=device, weights=weights)
    if state.step >= recipe.steps:
        raise UsageError(
            f"the run in {folder} is done",
            why=f"its checkpoint is at step {state.step} of {recipe.steps}",
            fix="choose another folder, or take its last.safetensors",
        )
    with atomic_path(folder / "recipe.json") as temporary:
        temporary.write_text(json.dumps(recipe.to_dict(), indent=2) + "\n")
    # Curves beyond the checkpoint belong to steps that will be done again.
    board = SummaryWriter(str(folder / "tensorboard"), purge_step=state.step)
    parent = None if weights is None else read_card(weights)
    card = make_card(recipe, datasets, measured=None, step=state.step, parent=parent)
    recent: list[tuple[float, float]] = []
    clock = time.perf_counter()
    for batch in iterate_batches(batches, start=state.step, workers=workers):
        on_device = batch.to(device)
        losses = _step(state, on_device, recipe, precision=precision)
        now = time.perf_counter()
        recent = [*recent[-LOG_EVERY + 1 :], (losses["total"], now - clock)]
        clock = now
        measured = None
        if state.step % LOG_EVERY == 0:
            for name, value in losses.items():
                board.add_scalar(f"train/{name}", value, state.step)
        last = state.step == recipe.steps
        if state.step % recipe.validate_every == 0 or last:
            board.add_image("train/predictions", prediction_grid(state.average, on_device), state.step)
            if validation is not None:
                measured = _measure(state, validation, board, device=device, precision=precision)
            card = make_card(recipe, datasets, measured=measured, step=state.step, parent=parent)
            if measured is not None and measured.j > state.best_j:
                state.best_j = measured.j
                save_weights(folder / "best.safetensors", state.average, card=card)
            clock = time.perf_counter()
        if last:
            card = save_weights(folder / "last.safetensors", state.average, card=card)
        if state.step % recipe.checkpoint_every == 0 or last:
            save_checkpoint(folder / "checkpoint.pt", state, recipe=recipe)
        on_step(
            Progress(
                step=state.step,
                steps=recipe.steps,
                loss=sum(loss for loss, _ in recent) / len(recent),
                seconds_per_step=sum(seconds for _, seconds in recent) / len(recent),
                validation=measured,
            )
        )
    board.close()
    return card


def _start(recipe: Recipe, *, folder: Path, device: torch.device, weights: Path | None) -> State:
    torch.manual_seed(recipe.seed)
    network = CovosLite()
    checkpoint = folder / "checkpoint.pt"
    if weights is not None:
        load_weights(weights, network)
    elif not checkpoint.exists():
        load_imagenet_weights(network.encoder)
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    state = State(network, make_average(network), make_optimizer(network, recipe))
    if checkpoint.exists():
        restore_checkpoint(checkpoint, state, recipe=recipe)
    return state


def _step(state: State, batch: Batch, recipe: Recipe, *, precision: torch.dtype) -> dict[str, float]:
    """One optimiser step; returns the losses by name."""
    rate = rate_at(state.step, steps=recipe.steps, warmup=recipe.warmup, power=recipe.power)
    for group in state.optimizer.param_groups:
        group["lr"] = group["peak"] * rate
    assert isinstance(state.network, CovosLite)
    state.network.train()
    losses = batch_losses(state.network, batch, recipe, precision=precision)
    values = {name: float(value.detach()) for name, value in losses._asdict().items()}
    if not values["total"] < float("inf"):
        raise CovosError(
            f"the loss is {values['total']} at step {state.step}",
            why="the training diverged, or a picture holds no numbers",
            fix="lower learning_rate; the last checkpoint is intact",
        )
    state.optimizer.zero_grad(set_to_none=True)
    losses.total.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(state.network.parameters(), recipe.gradient_norm)
    state.optimizer.step()
    update_average(state.average, state.network, decay=recipe.ema, step=state.step)
    state.step += 1
    return values


def _measure(
    state: State, validation: Dataset, board: SummaryWriter, *, device: torch.device, precision: torch.dtype
) -> Validation:
    assert isinstance(state.average, CovosLite)
    measured = validate(state.average, validation, device=device, precision=precision, every=VALIDATION_STRIDE)
    board.add_scalar("validation/J", measured.j, state.step)
    board.add_scalar("validation/F", measured.f, state.step)
    for name, (j, _) in measured.sequences.items():
        board.add_scalar(f"validation_J/{name}", j, state.step)
    return measured
