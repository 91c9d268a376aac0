"""The loss of one batch: what COSNet is asked to learn.

Shape legend: B pairs or pictures, C outputs, H height, W width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from covos.models.cosnet import Cosnet
from covos.training.cosnet.batches import PairBatch
from covos.training.cosnet.recipe import CosnetRecipe


def batch_losses(
    network: Cosnet, batch: PairBatch, recipe: CosnetRecipe, *, precision: torch.dtype
) -> dict[str, Tensor]:
    """Run a batch through the network.

    Returns:
        ``"total"``, and what it is the sum of: ``"a"`` and ``"b"`` of the two branches or ``"still"``, and
        ``"orthogonality"`` (not weighted) if the recipe asks for it.
    """
    if recipe.frozen_norms:
        freeze_norms(network)
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


def class_loss(logit: Tensor, target: Tensor, weight: Tensor, *, balanced: bool) -> Tensor:
    """Binary cross-entropy of each output with soft targets: the mean of each frame, averaged over the frames.

    Args:
        logit: B x C x H x W.
        target: B x C x H x W in [0, 1].
        weight: B x 1 x H x W, 0 where nothing is to be learnt.
        balanced: Weigh the foreground by 1 - e and the background by e, the foreground's share of each output in each
            frame (COSNet, section 3.3).
    """
    loss = F.binary_cross_entropy_with_logits(logit, target, reduction="none")
    if balanced:
        area = weight.sum(dim=(2, 3), keepdim=True).clamp(min=1)
        share = (target * weight).sum(dim=(2, 3), keepdim=True) / area
        loss = loss * ((1 - share) * target + share * (1 - target))
    return _mean(loss, weight)


def colour_loss(logit: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean absolute error of the colours; arguments as of `class_loss`, C = 3."""
    return _mean((logit.sigmoid() - target).abs(), weight)


def orthogonality(w: Tensor) -> Tensor:
    """The sum of squares of W W' - I: 0 for an orthogonal matrix."""
    return (w @ w.T - torch.eye(w.shape[0], device=w.device)).square().sum()


def freeze_norms(network: nn.Module) -> None:
    """Let batch norms use and keep the statistics that they have; scales and shifts are still trained."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def _mean(loss: Tensor, weight: Tensor) -> Tensor:
    # Of each frame first: so a batch is the mean of its parts, whatever is void in them.
    area = weight.sum(dim=(1, 2, 3)).clamp(min=1) * loss.shape[1]
    return ((loss * weight).sum(dim=(1, 2, 3)) / area).mean()
