"""What training COSNet is to the loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from covos.data import Dataset
from covos.engines.network import VideoNetwork
from covos.models.convert import HEADS
from covos.models.cosnet import COSNETS, Cosnet, as_trained
from covos.training.cosnet.batches import PairBatch, PairBatches
from covos.training.cosnet.pictures import prediction_grid
from covos.training.cosnet.recipe import CosnetRecipe
from covos.training.cosnet.step import batch_losses
from covos.training.distributed import ALONE, Team
from covos.training.validate import Validation, validate


class CosnetTask:
    """A `covos.training.task.Task`.

    Args:
        recipe: Settings.
        datasets: To train on.

    Raises:
        InputError: There are no pairs; or no still pictures, and the recipe asks for them.
    """

    fresh_start = "random weights, which a short training makes little of: fine-tune converted ones by --weights"
    # The affinity has no scale, so its softmax turns the rounding of half precision into other matches.
    stored = torch.float32

    def __init__(self, recipe: CosnetRecipe, datasets: Sequence[Dataset]) -> None:
        self.recipe = recipe
        self.datasets = datasets
        self.name: str = recipe.model
        self.architecture: str = recipe.model
        self.pairs = len(PairBatches(datasets, recipe).pairs)
        # A step on pairs and one on pictures are a turn.
        self.turn = 2 if recipe.alternate else 1
        # Pairs and pictures use heads of their own; without pictures, the published one for them is idle.
        self.partial = recipe.alternate or COSNETS[recipe.model].still
        self.steps = recipe.steps or self._end_of(recipe.epochs)

    def make_network(self) -> Cosnet:
        """With random weights, and the heads that the recipe trains."""
        base = COSNETS[self.recipe.model]
        config = replace(base, outputs=self.recipe.outputs, still=base.still or self.recipe.alternate)
        return Cosnet(as_trained(config, size=self.recipe.size, classes=self.recipe.target == "classes"))

    def fill(self, network: nn.Module) -> None:
        """Nothing: the weights of the published encoder are no part of covos."""

    def make_optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        """SGD in two groups: what the encoder's pre-training has, and what is new."""
        recipe = self.recipe
        groups: dict[bool, list[nn.Parameter]] = {False: [], True: []}
        for name, parameter in network.named_parameters():
            groups[name.startswith(HEADS)].append(parameter)
        return torch.optim.SGD(
            [
                {"params": parameters, "peak": recipe.learning_rate * (recipe.new_layers if new else 1.0), "lr": 0.0}
                for new, parameters in groups.items()
            ],
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
        )

    def batches(self, team: Team = ALONE) -> PairBatches:
        """Every pair in turn, in an order that the seed decides."""
        return PairBatches(self.datasets, self.recipe, team=team)

    def losses(self, network: nn.Module, batch: PairBatch, *, precision: torch.dtype) -> dict[str, Tensor]:
        """See `covos.training.cosnet.step.batch_losses`."""
        assert isinstance(network, Cosnet)
        return batch_losses(network, batch, self.recipe, precision=precision)

    def pictures(self, network: nn.Module, batch: PairBatch) -> Tensor:
        """Frames, targets and predictions."""
        assert isinstance(network, Cosnet)
        return prediction_grid(network, batch)

    def measure(
        self, network: nn.Module, dataset: Dataset, *, device: torch.device, precision: torch.dtype, every: int
    ) -> Validation:
        """Through the engine that users run."""
        return validate(cast("VideoNetwork[Any]", network), dataset, device=device, precision=precision, every=every)

    def epoch_after(self, step: int) -> int | None:
        """The epoch whose last pair is in the step before, if the recipe counts epochs."""
        if not self.recipe.epochs:
            return None
        epoch = min((step // self.turn) * self.recipe.batch // self.pairs, self.recipe.epochs)
        return epoch if epoch and step == self._end_of(epoch) else None

    def _end_of(self, epoch: int) -> int:
        return self.turn * -(-epoch * self.pairs // self.recipe.batch)
