"""A training that is about to begin: its recipe and data, and the machine that it was prepared for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from covos.core.device import resolve_device
from covos.core.errors import UsageError
from covos.data import Dataset
from covos.models.registry import find_model
from covos.training.arguments import check_precision, precision_of
from covos.training.distributed import SINGLE_PROCESS, ProcessGroup, process_group_from_environment
from covos.training.gather import Data, TrainingData, gather
from covos.training.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A training that is about to begin: recipe, data and machine.

    Attributes:
        recipe: The settings.
        data: The data sets to train on, and those to measure on; without these, nothing is measured.
        device: The device that computes.
        precision: float32, or bfloat16 by autocast.
        start: Weights to start from, to fine-tune them; None as the recipe does.
        workers: Loader processes; 0 loads in the one that trains.
        group: The processes that share it.
    """

    recipe: Recipe
    data: TrainingData
    device: torch.device
    precision: torch.dtype
    start: Path | None = None
    workers: int = 1
    group: ProcessGroup = SINGLE_PROCESS


def prepare(
    recipe: Recipe,
    sources: Sequence[Data],
    *,
    validation: Sequence[Dataset] | None = None,
    weights: str | os.PathLike[str] | None,
    device: str,
    precision: str,
    workers: int,
) -> Training:
    """Gather the data and choose the machine; nothing is written, and no network is made."""
    check_precision(precision)
    if workers < 0:
        raise UsageError(f"workers = {workers}", why="it is a number of processes", fix="use 0 or more")
    if validation is not None and recipe.overfit:
        recipe.refuse("overfit", "a run that overfits measures on what it trains on", "leave validation out")
    weights = weights or recipe.start or None
    group = process_group_from_environment()
    recipe.check_division(processes=group.size)
    target = resolve_device(device)
    if group.size > 1 and target.type == "cuda":
        target = resolve_device(f"cuda:{group.local_rank}")
    return Training(
        recipe=recipe,
        start=None if weights is None else find_model(os.fspath(weights)).path,
        data=gather(
            sources,
            seed=recipe.split_seed,
            ratio=recipe.ratio,
            videos=recipe.videos,
            overfit=recipe.overfit,
            validation=validation,
            pictures=recipe.measures_pictures,
            moving=recipe.measures_videos,
        ),
        device=target,
        precision=precision_of(target, precision),
        workers=workers,
        group=group,
    )
