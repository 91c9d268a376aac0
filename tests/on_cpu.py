"""Trainings as tests run them: on the processor, exactly, and with the files read in the same process."""

from __future__ import annotations

from pathlib import Path

import torch

from covos.training.gather import TrainingData
from covos.training.prepared import Training
from covos.training.recipe import Recipe


def training_of(recipe: Recipe, data: TrainingData, *, start: Path | None = None, workers: int = 0) -> Training:
    """Return what `covos.training.loop.train` and `covos.training.estimate.estimate_time` take."""
    return Training(
        recipe=recipe, data=data, device=torch.device("cpu"), precision=torch.float32, start=start, workers=workers
    )
