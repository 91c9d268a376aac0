"""Training of COSNet: its losses, its pictures, and how it is measured.

Shape legend: B pairs or pictures, C outputs, H height, W width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from covos.data import Dataset
from covos.models.cosnet.convert import HEADS
from covos.models.cosnet.network import COSNETS, Cosnet, as_trained, config_of
from covos.training.pairs import PairBatch, PairBatches
from covos.training.recipe import CosnetRecipe
from covos.training.task import Task, picture_table

SHOWN = 2
"""Pairs or pictures of a batch that are shown."""


def class_loss(logit: Tensor, target: Tensor, weight: Tensor, *, balanced: bool) -> Tensor:
    """Binary cross-entropy of each output with soft targets: the mean of each frame, averaged over the frames.

    Balanced, the foreground weighs 1 - e and the background e, the foreground's share of each output in each frame
    (COSNet, section 3.3). Logit and target are B x C x H x W, the weight is B x 1 x H x W.
    """
    loss = F.binary_cross_entropy_with_logits(logit, target, reduction="none")
    if balanced:
        area = weight.sum(dim=(2, 3), keepdim=True).clamp(min=1)
        share = (target * weight).sum(dim=(2, 3), keepdim=True) / area
        loss = loss * ((1 - share) * target + share * (1 - target))
    return _mean(loss, weight)


def colour_loss(logit: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean absolute error of the colours; shapes as of `class_loss`, C = 3."""
    return _mean((logit.sigmoid() - target).abs(), weight)


def orthogonality(w: Tensor) -> Tensor:
    """Sum of squares of W W' - I: 0 for an orthogonal matrix."""
    return (w @ w.T - torch.eye(w.shape[0], device=w.device)).square().sum()


def _mean(loss: Tensor, weight: Tensor) -> Tensor:
    # Of each frame first: so a batch is the mean of its parts, whatever is void in them.
    area = weight.sum(dim=(1, 2, 3)).clamp(min=1) * loss.shape[1]
    return ((loss * weight).sum(dim=(1, 2, 3)) / area).mean()


class CosnetTask(Task[CosnetRecipe]):
    """Training of COSNet, see `covos.training.task.Task`."""

    fresh_start = "random weights, which a short training makes little of: fine-tune converted ones by --weights"
    recipe_type = CosnetRecipe
    batches_type = PairBatches
    plain = MappingProxyType({"alternate": False})
    # The affinity has no scale, so its softmax turns the rounding of half precision into other matches.
    stored = torch.float32

    def __init__(self, recipe: CosnetRecipe, datasets: Sequence[Dataset]) -> None:
        super().__init__(recipe, datasets)
        self.name = self.architecture = recipe.model
        self.pairs = len(PairBatches(datasets, recipe).pairs)
        # A step on pairs and one on pictures are a turn.
        self.turn = 2 if recipe.alternate else 1
        # Pairs and pictures use heads of their own; without pictures, the published one for them is idle.
        self.partial = recipe.alternate or COSNETS[recipe.model].still
        self.steps = recipe.steps or self._end_of(recipe.epochs)

    def make_network(self, settings: Mapping[str, Any] | None = None) -> Cosnet:
        """Make a network with random weights, and the heads that the recipe trains.

        What its start decides (the input, the co-attention, the place of the strides) is the start's; the size of the
        frames and what the outputs mean are the recipe's.
        """
        base = config_of(settings) if settings else COSNETS[self.recipe.model]
        config = replace(base, outputs=self.recipe.outputs, still=base.still or self.recipe.alternate)
        return Cosnet(as_trained(config, size=self.recipe.size, classes=self.recipe.target == "classes"))

    def make_optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        """Make an SGD in two groups: what the encoder's pre-training has, and what is new."""
        recipe = self.recipe
        groups: dict[bool, list[nn.Parameter]] = {False: [], True: []}
        for name, parameter in network.named_parameters():
            groups[name.startswith(HEADS)].append(parameter)
        return torch.optim.SGD(
            [
                {
                    "params": parameters,
                    "peak": recipe.learning_rate * (recipe.new_layers if new else 1.0),
                    "lr": 0.0,
                    "name": "new_layers" if new else "encoder",
                }
                for new, parameters in groups.items()
            ],
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
        )

    def losses(self, network: Cosnet, batch: PairBatch, *, precision: torch.dtype) -> dict[str, Tensor]:
        """Return the total, the losses ``"a"`` and ``"b"`` of the branches or ``"still"``, and ``"orthogonality"``."""
        recipe = self.recipe
        if recipe.frozen_norms:
            for module in network.modules():
                if isinstance(module, nn.BatchNorm2d):  # scales and shifts are still trained
                    module.eval()
        views = [network.config.preprocessing.apply(image.float() / 255) for image in batch.image.unbind(1)]
        still = len(views) == 1
        with torch.autocast(views[0].device.type, precision, enabled=precision != torch.float32):
            logits = (network.still_logits(views[0]),) if still else network.pair_logits(*views)
        parts = zip(logits, batch.target.unbind(1), batch.weight.unbind(1), strict=True)
        if recipe.target == "colours" and not still:
            values = [colour_loss(*part) for part in parts]
        else:
            values = [class_loss(*part, balanced=recipe.balanced) for part in parts]
        losses = dict(zip(("still",) if still else ("a", "b"), values, strict=True))
        total = torch.stack(values).sum()
        if recipe.orthogonality and not still:
            losses["orthogonality"] = orthogonality(network.coattention.weight.weight)
            total = total + recipe.orthogonality * losses["orthogonality"]
        return {"total": total, **losses}

    @torch.inference_mode()
    def pictures(self, network: Cosnet, batch: PairBatch) -> Tensor:
        """Show the first pairs or pictures in columns: frame, target, prediction; three outputs as red, green, blue."""
        image, target, _ = (part[:SHOWN] for part in batch)
        views = list((image.float() / 255).unbind(1))
        prepared = [network.config.preprocessing.apply(view) for view in views]
        logits = (network.still_logits(prepared[0]),) if len(views) == 1 else network.pair_logits(*prepared)
        truths = [truth.expand(-1, 3, -1, -1) for truth in target.unbind(1)]
        predictions = [logit.sigmoid().expand(-1, 3, -1, -1) for logit in logits]
        # The frames of a pair stand side by side.
        return picture_table(torch.stack(row, dim=1).flatten(0, 1) for row in (views, truths, predictions))

    def epoch_after(self, step: int) -> int | None:
        """Return the epoch whose last pair is in the step before, if the recipe counts epochs."""
        if not self.recipe.epochs:
            return None
        epoch = min((step // self.turn) * self.recipe.batch // self.pairs, self.recipe.epochs)
        return epoch if epoch and step == self._end_of(epoch) else None

    def _end_of(self, epoch: int) -> int:
        return self.turn * -(-epoch * self.pairs // self.recipe.batch)
