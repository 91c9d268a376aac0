"""The loss of one batch of clips: what covos-follow is asked to learn.

Shape legend: B clips, K frames of a clip, O objects, P pairs of a clip and one of its objects, H height, W width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from covos.models.follow import CovosFollow, Decoded, Recall, View, aggregate, beside
from covos.models.lite import CovosLite, Features
from covos.training.follow.batches import ClipBatch
from covos.training.follow.recipe import FollowRecipe
from covos.training.lite.losses import read_mask_bce, soft_iou, weighted_bce

SEEN = 2.0
"""Cells that must be visible for an object to count as present."""


class Losses(NamedTuple):
    """Scalar losses of a step; ``total`` is what is minimised."""

    total: Tensor
    mask: Tensor
    """Cross-entropy of the label map + soft IoU of each object."""
    read: Tensor
    """Cross-entropy of the masks as read from the memory: it teaches what matches what."""
    judge: Tensor
    """Cross-entropies of presence and of the Jaccard index that is reached."""


class Followed(NamedTuple):
    """A clip followed from its first frame: one entry for each later frame."""

    found: list[Decoded]
    log_probability: list[Tensor]
    """B x (1 + O) x H/4 x W/4 each."""
    row: Tensor
    """P: place of each pair among the O objects of its clip."""
    owner: Tensor
    """P: clip of each pair."""


@torch.no_grad()
def encode_clips(eyes: CovosLite, batch: ClipBatch, *, precision: torch.dtype) -> Features:
    """Features of all B K frames of a batch, by the frozen encoder."""
    image = batch.image.flatten(0, 1).to(memory_format=torch.channels_last).float() / 255
    with torch.autocast(image.device.type, precision, enabled=precision != torch.float32):
        return eyes.encode(image, batch.motion.flatten(0, 1))


def follow_clips(network: CovosFollow, eyes: CovosLite, batch: ClipBatch, *, precision: torch.dtype) -> Followed:
    """Follow the objects of each clip's first frame, by what the network itself made of the frames between."""
    clips, frames = batch.image.shape[:2]
    owner, row = batch.exists.nonzero(as_tuple=True)
    with torch.autocast(batch.image.device.type, precision, enabled=precision != torch.float32):
        every = network.view(encode_clips(eyes, batch, precision=precision))
        parts = [part.reshape(clips, frames, *part.shape[1:]) for part in every]
        mask = batch.target[owner, row, 0].unsqueeze(1)
        found, logs = [], []
        memory: list[Recall] = []
        for index in range(frames):
            view = View(*(part[:, index] for part in parts))
            if index:
                decoded = network.find(view, Recall.join(memory), memory[-1], beside(mask, owner), owner)
                log_probability = aggregate(decoded.logit_P1HW, owner, frames=clips)
                found.append(decoded)
                logs.append(log_probability)
                mask = log_probability.exp()[owner, row + 1].unsqueeze(1)
            if index < frames - 1:
                both = beside(mask, owner)
                memory.append(network.memorise(view, both[:, :1], both[:, 1:], owner))
    return Followed(found, logs, row, owner)


def batch_losses(
    network: CovosFollow, eyes: CovosLite, batch: ClipBatch, recipe: FollowRecipe, *, precision: torch.dtype
) -> Losses:
    """Follow the clips and compare."""
    followed = follow_clips(network, eyes, batch, precision=precision)
    owner, row = followed.owner, followed.row
    masks, reads, judges = [], [], []
    for index, (decoded, log_probability) in enumerate(zip(followed.found, followed.log_probability, strict=True), 1):
        target = batch.target[owner, row, index].unsqueeze(1)
        weight = batch.weight[owner, index].unsqueeze(1)
        masks.append(_label_entropy(log_probability, batch, index))
        logit = _binary_logit(log_probability[owner, row + 1].unsqueeze(1))
        masks.append(soft_iou(logit, target, weight))
        cells = decoded.read_P2hw.shape[2:]
        # Clamped: an average of ones may exceed one by a rounding error, which a cross-entropy refuses.
        small = F.interpolate(target, size=cells, mode="area").clamp(0, 1).expand(-1, 2, -1, -1)
        reads.append(
            read_mask_bce(decoded.read_P2hw, small, F.interpolate(weight, size=cells, mode="area").expand_as(small))
        )
        judges.append(_judgement(decoded, logit, target, weight))
    mask, read_, judge = _sum(masks) / len(followed.found), _sum(reads) / len(reads), _sum(judges) / len(judges)
    return Losses(mask + recipe.read_weight * read_ + recipe.judge_weight * judge, mask, read_, judge)


def _sum(losses: list[Tensor]) -> Tensor:
    return torch.stack(losses).sum()


def _label_entropy(log_probability: Tensor, batch: ClipBatch, index: int) -> Tensor:
    target = batch.target[:, :, index]
    background = (1 - target.sum(dim=1, keepdim=True)).clamp(0, 1)
    every = torch.cat([background, target], dim=1)
    loss = -(every * log_probability[:, : every.shape[1]].clamp(min=-20)).sum(dim=1)
    weight = batch.weight[:, index]
    return (loss * weight).sum() / weight.sum().clamp(min=1.0)


def _binary_logit(log_probability: Tensor) -> Tensor:
    sure = log_probability.clamp(max=-1e-6)
    return sure - torch.log(-torch.expm1(sure))


def _judgement(decoded: Decoded, logit: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    seen = ((target * weight).sum(dim=(1, 2, 3)) >= SEEN).float()
    presence = F.binary_cross_entropy_with_logits(decoded.present_P, seen)
    with torch.no_grad():
        mask, truth = (logit > 0) * weight, (target > 0.5) * weight
        both = (mask * truth).sum(dim=(1, 2, 3))
        either = (mask + truth - mask * truth).sum(dim=(1, 2, 3))
        jaccard = both / either.clamp(min=1.0)
    quality = weighted_bce(decoded.quality_P, jaccard, seen)
    return presence + quality
