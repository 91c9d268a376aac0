"""Training of COSNet: its losses, its pictures, and how it is measured.

Shape legend: B pairs or pictures, C outputs, H height, W width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from covos.data import Dataset
from covos.models.cosnet.network import COSNETS, Cosnet, as_trained, config_of
from covos.training.pairs import PairBatch, PairBatches, is_still, steps_on_pairs
from covos.training.recipe import CosnetRecipe
from covos.training.task import Task, picture_table

NEW = ("coattention.", "head_a.", "head_b.")
"""Parts that are new to the encoder, whatever it was trained on: the still-image head belongs to its own training."""
SHOWN = 2
"""Pairs or pictures of a batch that are shown."""


Balance = Literal["none", "classes", "area"]
LEAST_AREA = 0.01
"""Smallest share of foreground that a loss is divided by: a batch without any must not count without bound."""


def class_loss(
    logit: Tensor, target: Tensor, weight: Tensor, *, balance: Balance = "none", area: Tensor | None = None
) -> Tensor:
    """Binary cross-entropy of each output with soft targets: the mean of each frame, averaged over the frames.

    Balanced by ``"classes"``, the foreground weighs 1 - e and the background e, the foreground's share of each output
    in each frame (COSNet, section 3.3). By ``"area"``, each output is divided by its ``area``, B x C, the foreground's
    share of the batch (COSNet's released trainer). Logit and target are B x C x H x W, the weight is B x 1 x H x W.
    """
    loss = F.binary_cross_entropy_with_logits(logit, target, reduction="none")
    if balance == "classes":
        pixels = weight.sum(dim=(2, 3), keepdim=True).clamp(min=1)
        share = (target * weight).sum(dim=(2, 3), keepdim=True) / pixels
        loss = loss * ((1 - share) * target + share * (1 - target))
    if balance == "area":
        assert area is not None
        loss = loss / area.clamp(min=LEAST_AREA)[:, :, None, None]
    return _mean(loss, weight)


def absolute_loss(logit: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean absolute error of the probabilities, or of the colours; shapes as of `class_loss`."""
    return _mean((logit.sigmoid() - target).abs(), weight)


def orthogonality(w: Tensor) -> Tensor:
    """Sum of squares of W W' - I: 0 for an orthogonal matrix."""
    return (w @ w.T - torch.eye(w.shape[0], device=w.device)).square().sum()


def _mean(loss: Tensor, weight: Tensor) -> Tensor:
    # First the mean of each frame: so a batch is the mean of its parts, whatever is void in them.
    area = weight.sum(dim=(1, 2, 3)).clamp(min=1) * loss.shape[1]
    return ((loss * weight).sum(dim=(1, 2, 3)) / area).mean()


class CosnetTask(Task[CosnetRecipe]):
    """Training of COSNet, see `covos.training.task.Task`."""

    fresh_start = "random weights, which a short training makes little of: begin with converted ones"
    recipe_type = CosnetRecipe
    batches_type = PairBatches
    plain = MappingProxyType(
        {"still_every": 0, "crop_share": 1.0, "flip_share": 0.0, "resample": (1.0, 1.0), "stretch": False}
    )
    # The affinity has no scale, so its softmax turns the rounding of half precision into other matches.
    stored = torch.float32

    def __init__(self, recipe: CosnetRecipe, datasets: Sequence[Dataset]) -> None:
        super().__init__(recipe, datasets)
        self.name = self.architecture = recipe.model
        self.pairs = len(PairBatches(datasets, recipe).pairs)
        # Pairs and pictures use heads of their own; without pictures, the published one for them is idle.
        self.partial = recipe.still_every > 0 or COSNETS[recipe.model].still
        self.steps = recipe.steps or self._end_of(recipe.epochs)

    def make_network(self, settings: Mapping[str, Any] | None = None) -> Cosnet:
        """Make a network with random weights, and the heads that the recipe trains.

        Its start decides the input, the co-attention and the place of the strides; the recipe decides the size of the
        frames and the meaning of the outputs.
        """
        base = config_of(settings) if settings else COSNETS[self.recipe.model]
        config = replace(base, outputs=self.recipe.outputs, still=base.still or self.recipe.still_every > 0)
        return Cosnet(as_trained(config, size=self.recipe.size, classes=self.recipe.target == "classes"))

    def make_optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        """Make an SGD in two groups: what the encoder's pre-training has, and what is new."""
        recipe = self.recipe
        groups: dict[bool, list[nn.Parameter]] = {False: [], True: []}
        for name, parameter in network.named_parameters():
            groups[name.startswith(NEW)].append(parameter)
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

    def rate_factor(self, group: Mapping[str, Any], step: int) -> float:
        """Return the factor on the rate of what is not new, in the steps on pairs; else 1."""
        if group["name"] == "new_layers" or is_still(step, every=self.recipe.still_every):
            return 1.0
        return self.recipe.encoder_on_pairs

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
        parts = zip(logits, batch.target.unbind(1), batch.weight.unbind(1), batch.area.unbind(1), strict=True)
        values = [self._loss(*part, colours=recipe.target == "colours" and not still) for part in parts]
        losses = dict(zip(("still",) if still else ("a", "b"), values, strict=True))
        total = torch.stack(values).sum() * (recipe.still_weight if still else 1.0)
        if recipe.orthogonality and not still:
            losses["orthogonality"] = orthogonality(network.coattention.weight.weight)
            total = total + recipe.orthogonality * losses["orthogonality"]
        return {"total": total, **losses}

    def _loss(self, logit: Tensor, target: Tensor, weight: Tensor, area: Tensor, *, colours: bool) -> Tensor:
        if colours:
            return absolute_loss(logit, target, weight)
        loss = class_loss(logit, target, weight, balance=self.recipe.balance, area=area)
        return loss + self.recipe.absolute * absolute_loss(logit, target, weight) if self.recipe.absolute else loss

    @torch.inference_mode()
    def pictures(self, network: Cosnet, batch: PairBatch) -> Tensor:
        """Show the first pairs or pictures in columns: frame, target, prediction; three outputs as red, green, blue."""
        image, target = batch.image[:SHOWN], batch.target[:SHOWN]
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
        done = steps_on_pairs(step, every=self.recipe.still_every) * self.recipe.batch
        epoch = min(done // self.pairs, self.recipe.epochs)
        return epoch if epoch and step == self._end_of(epoch) else None

    def _end_of(self, epoch: int) -> int:
        on_pairs, every = -(-epoch * self.pairs // self.recipe.batch), self.recipe.still_every
        return on_pairs + -(-on_pairs // (every - 1)) if every else on_pairs
