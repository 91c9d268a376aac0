"""Checkpoints of a run: everything that the next step depends on, written whole or not at all.

The batch of a step is a function of the seed and the step (`covos.training.batches`), and nothing else in the loop
draws random numbers after the start, so weights, average, optimiser and step are all there is to keep.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from covos.errors import CheckpointError
from covos.runtime.atomic import atomic_path
from covos.training.recipe import Recipe


@dataclass(slots=True)
class State:
    """What a run consists of while it goes.

    Attributes:
        network: Being trained.
        average: Its moving average.
        optimizer: With its moments.
        step: Steps done.
        best_j: Highest validation J so far.
    """

    network: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer
    step: int = 0
    best_j: float = -1.0


def save_checkpoint(path: Path, state: State, *, recipe: Recipe) -> None:
    """Write a checkpoint in place of the one before."""
    content = {
        "network": state.network.state_dict(),
        "average": state.average.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "step": state.step,
        "best_j": state.best_j,
        "recipe": json.dumps(recipe.to_dict()),
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
    changed = sorted(name for name in current if kept.get(name) != current[name])
    if changed:
        raise CheckpointError(
            f"{path} was made with another recipe",
            why="; ".join(f"{name}: {kept.get(name)} there, {current[name]} here" for name in changed),
            fix="use the same recipe, or start anew in another folder",
        )
    state.network.load_state_dict(content["network"])
    state.average.load_state_dict(content["average"])
    state.optimizer.load_state_dict(content["optimizer"])
    state.step = int(content["step"])
    state.best_j = float(content["best_j"])
