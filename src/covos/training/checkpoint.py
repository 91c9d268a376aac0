"""Checkpoints of a run: everything that the next step depends on, written whole or not at all.

The batch of a step is a function of the seed, the step and the process, and nothing else in the loop draws random
numbers after the start, so weights, average, optimiser and step are all there is to keep.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from covos.errors import CheckpointError
from covos.runtime.atomic import atomic_path
from covos.training.base import Recipe


@dataclass(slots=True)
class State:
    """What a run consists of while it goes.

    Attributes:
        network: Being trained.
        average: Its moving average.
        optimizer: With its moments.
        step: Steps done.
        best_j: Highest validation J so far.
        due: Whether the measurement after this step is still to be made.
        epoch_losses: Sum of the total loss over the steps of the epoch so far, and their number.
        started_from: Hash and recipe of the weights that were fine-tuned; None for a fresh start.
    """

    network: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer
    step: int = 0
    best_j: float = -1.0
    due: bool = False
    epoch_losses: tuple[float, int] = (0.0, 0)
    started_from: dict[str, Any] | None = None


_PLAIN = ("step", "best_j", "due", "epoch_losses", "started_from")


def save_checkpoint(path: Path, state: State, *, recipe: Recipe) -> None:
    """Write a checkpoint in place of the one before."""
    content = {
        "network": state.network.state_dict(),
        "average": state.average.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "recipe": json.dumps(recipe.to_dict()),
        **{name: getattr(state, name) for name in _PLAIN},
    }
    with atomic_path(path) as temporary:
        torch.save(content, temporary)


def restore_checkpoint(path: Path, state: State, *, recipe: Recipe) -> None:
    """Continue from a checkpoint.

    Raises:
        CheckpointError: It cannot be read, or was made with another recipe.
    """
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        kept = json.loads(content["recipe"])
    except Exception as error:
        raise CheckpointError(
            f"{path} cannot be read", why=str(error).splitlines()[0], fix="start anew in another folder"
        ) from error
    current = json.loads(json.dumps(recipe.to_dict()))
    # A field that is newer than the checkpoint had its default's effect.
    before = {each.name: each.default for each in fields(recipe) if each.default is not MISSING} | kept
    changed = sorted(name for name in current if before.get(name) != current[name])
    if changed:
        raise CheckpointError(
            f"{path} was made with another recipe",
            why="; ".join(f"{name}: {before.get(name)} there, {current[name]} here" for name in changed),
            fix="use the same recipe, or start anew in another folder",
        )
    state.network.load_state_dict(content["network"])
    state.average.load_state_dict(content["average"])
    state.optimizer.load_state_dict(content["optimizer"])
    # Older checkpoints lack some.
    for name in _PLAIN:
        setattr(state, name, content.get(name, getattr(state, name)))
