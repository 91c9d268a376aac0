"""What training covos-lite is to the loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from covos.data import Dataset
from covos.engines.network import VideoNetwork
from covos.models.encoders.efficientnet_lite import load_imagenet_weights
from covos.models.lite import CovosLite
from covos.training.distributed import ALONE, Team
from covos.training.lite.batches import Batch, StepBatches
from covos.training.lite.optimizer import make_optimizer
from covos.training.lite.pictures import prediction_grid
from covos.training.lite.recipe import LiteRecipe
from covos.training.lite.step import batch_losses
from covos.training.validate import Validation, validate


class LiteTask:
    """A `covos.training.task.Task`.

    Args:
        recipe: Settings.
        datasets: To train on.
    """

    name = "covos-lite"
    architecture = "lite"
    fresh_start = "ImageNet weights for the encoder, random ones for the rest"
    partial = False
    stored = torch.float16

    def __init__(self, recipe: LiteRecipe, datasets: Sequence[Dataset]) -> None:
        self.recipe = recipe
        self.datasets = datasets
        self.steps = recipe.steps

    def make_network(self) -> CovosLite:
        """With random weights."""
        return CovosLite()

    def fill(self, network: nn.Module) -> None:
        """ImageNet weights, from the optional package that brings them."""
        assert isinstance(network, CovosLite)
        load_imagenet_weights(network.encoder)

    def make_optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        """AdamW."""
        return make_optimizer(network, self.recipe)

    def batches(self, team: Team = ALONE) -> StepBatches:
        """Drawn on the fly."""
        return StepBatches(self.datasets, self.recipe, team=team)

    def losses(self, network: nn.Module, batch: Batch, *, precision: torch.dtype) -> dict[str, Tensor]:
        """See `covos.training.lite.step.Losses`."""
        assert isinstance(network, CovosLite)
        return batch_losses(network, batch, self.recipe, precision=precision)._asdict()

    def pictures(self, network: nn.Module, batch: Batch) -> Tensor:
        """Frames, targets and predictions."""
        return prediction_grid(network, batch)

    def measure(
        self, network: nn.Module, dataset: Dataset, *, device: torch.device, precision: torch.dtype, every: int
    ) -> Validation:
        """Through the engine that users run."""
        return validate(cast("VideoNetwork[Any]", network), dataset, device=device, precision=precision, every=every)

    def epoch_after(self, step: int) -> int | None:
        """Never: the recipe counts steps."""
        return None
