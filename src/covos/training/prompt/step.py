"""The loss of one batch of prompts: what covos-prompt is asked to learn.

Shape legend: B frames, H height, W width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from covos.models.lite import CovosLite
from covos.models.prompt import CovosPrompt, Prompt
from covos.training.lite.losses import contour_weight, soft_iou
from covos.training.prompt.batches import PromptBatch
from covos.training.prompt.correct import corrective_click
from covos.training.prompt.recipe import PromptRecipe

FOCUS = 2.0
"""Exponent of the focal loss."""


class Losses(NamedTuple):
    """Scalar losses of a step, means over the rounds; ``total`` is what is minimised."""

    total: Tensor
    focal: Tensor
    """Normalised focal loss of the mask."""
    overlap: Tensor
    """Soft IoU of the mask."""


class Asked(NamedTuple):
    """What the network said in each round, and what it was shown."""

    logits: list[Tensor]
    """B x 1 x H/2 x W/2 each."""
    point: Tensor
    """B x K x 3: the clicks of the last round."""


def ask(network: CovosPrompt, eyes: CovosLite, batch: PromptBatch, *, precision: torch.dtype) -> Asked:
    """Ask the network, and correct it, round by round; no gradient flows from a round into the one before."""
    image = batch.image.to(memory_format=torch.channels_last).float() / 255
    with torch.autocast(image.device.type, precision, enabled=precision != torch.float32):
        with torch.no_grad():
            features = eyes.encode(image, batch.motion)
        view = network.view(features)
        point, previous = batch.point, batch.previous
        logits: list[Tensor] = []
        for index in range(batch.rounds):
            if logits:
                last = logits[-1].detach()
                click = corrective_click(last, batch.target, batch.weight, batch.draw[:, index])
                # As in use: what is handed back is a mask, not a probability.
                point, previous = torch.cat([point, click], dim=1), (last > 0).float()
            logits.append(network.find(view, Prompt(point, batch.box, previous)))
    return Asked(logits, point)


def batch_losses(
    network: CovosPrompt, eyes: CovosLite, batch: PromptBatch, recipe: PromptRecipe, *, precision: torch.dtype
) -> Losses:
    """Ask and compare."""
    logits = ask(network, eyes, batch, precision=precision).logits
    weight = batch.weight * contour_weight(batch.target, strength=recipe.edge_weight)
    focal = torch.stack([normalised_focal(logit, batch.target, weight) for logit in logits]).mean()
    overlap = torch.stack([soft_iou(logit, batch.target, batch.weight) for logit in logits]).mean()
    return Losses(focal + overlap, focal, overlap)


def normalised_focal(logit: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Focal loss whose weights sum to the number of pixels (Sofiiuk et al., *AdaptIS*, ICCV 2019, section 3.3).

    So the gradient does not vanish as the network grows sure: it moves to the pixels that are still wrong. With soft
    targets the focus is on |p - t|, as in the quality focal loss (Li et al., NeurIPS 2020).

    Args:
        logit: B x 1 x H x W.
        target: Of the same shape, in [0, 1].
        weight: Of the same shape; what each pixel counts.
    """
    logit = logit.float()
    entropy = F.binary_cross_entropy_with_logits(logit, target, reduction="none")
    focus = (logit.sigmoid() - target).abs().pow(FOCUS) * weight
    total = focus.detach().sum(dim=(1, 2, 3))
    # At most as if a tenth of a per cent of the pixels were fully wrong: a perfect mask must not shout.
    least = 1e-3 * weight.sum(dim=(1, 2, 3)) + 1e-6
    return ((focus * entropy).sum(dim=(1, 2, 3)) / torch.maximum(total, least)).mean()
