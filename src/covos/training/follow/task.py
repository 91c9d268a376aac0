"""Training of covos-follow: its losses, its pictures, and how it is measured.

Shape legend: B clips, K frames of a clip, O objects, P pairs of a clip and one of its objects, H height, W width.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from covos.data import Dataset, FrameRecord, Video, read_labels
from covos.engines.encoding import DEFAULT_AREA, FrameEncoder
from covos.engines.follow import FollowEngine
from covos.engines.memory import DEFAULT_MEMORY
from covos.evaluation import boundary_f, jaccard
from covos.masks import VOID
from covos.models.coattention import join_memories
from covos.models.follow import CovosFollow, DecodedObjects, FollowFeatures, ObjectMemory, aggregate, with_others
from covos.models.lite import CovosLite, Features
from covos.training.base import FrozenEncoderTask, picture_table
from covos.training.follow.batches import ClipBatch, ClipBatches
from covos.training.follow.recipe import FollowRecipe
from covos.training.losses import read_mask_bce, soft_iou, weighted_bce, weighted_mean
from covos.training.validate import Validation, frames_of, mean_scores

COLOURS = ((0.0, 0.0, 0.0), (1.0, 0.2, 0.2), (0.2, 1.0, 0.2), (0.3, 0.4, 1.0), (1.0, 0.9, 0.1), (1.0, 0.3, 1.0))
"""Colours of the background and of the first objects, in pictures."""
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


class FollowedClips(NamedTuple):
    """A clip followed from its first frame: one entry for each later frame."""

    found: list[DecodedObjects]
    log_probability: list[Tensor]
    """B x (1 + O) x H/4 x W/4 each."""
    row: Tensor
    """P: place of each pair among the O objects of its clip."""
    owner: Tensor
    """P: clip of each pair."""


@torch.no_grad()
def encode_clips(encoder: CovosLite, batch: ClipBatch, *, precision: torch.dtype) -> Features:
    """Encode all B K frames of a batch."""
    image = batch.image.flatten(0, 1).to(memory_format=torch.channels_last).float() / 255
    with torch.autocast(image.device.type, precision, enabled=precision != torch.float32):
        return encoder.encode(image, batch.motion.flatten(0, 1))


def follow_clips(
    network: CovosFollow, encoder: CovosLite, batch: ClipBatch, *, precision: torch.dtype
) -> FollowedClips:
    """Follow the objects of each clip's first frame, by what the network itself made of the frames between."""
    clips, frames = batch.image.shape[:2]
    owner, row = batch.exists.nonzero(as_tuple=True)
    with torch.autocast(batch.image.device.type, precision, enabled=precision != torch.float32):
        every = network.project(encode_clips(encoder, batch, precision=precision))
        parts = [part.reshape(clips, frames, *part.shape[1:]) for part in every]
        mask = batch.target[owner, row, 0].unsqueeze(1)
        found, logs = [], []
        memory: list[ObjectMemory] = []
        for index in range(frames):
            view = FollowFeatures(*(part[:, index] for part in parts))
            if index:
                decoded = network.find(view, join_memories(memory), memory[-1], with_others(mask, owner), owner)
                log_probability = aggregate(decoded.logit_P1HW, owner, frames=clips)
                found.append(decoded)
                logs.append(log_probability)
                mask = log_probability.exp()[owner, row + 1].unsqueeze(1)
            if index < frames - 1:
                both = with_others(mask, owner)
                memory.append(network.memorise(view, both[:, :1], both[:, 1:], owner))
    return FollowedClips(found, logs, row, owner)


def batch_losses(
    network: CovosFollow, encoder: CovosLite, batch: ClipBatch, recipe: FollowRecipe, *, precision: torch.dtype
) -> Losses:
    """Follow the clips and compare."""
    followed = follow_clips(network, encoder, batch, precision=precision)
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
    mask, read, judge = _sum(masks) / len(followed.found), _sum(reads) / len(reads), _sum(judges) / len(judges)
    return Losses(mask + recipe.read_weight * read + recipe.judge_weight * judge, mask, read, judge)


def _sum(losses: list[Tensor]) -> Tensor:
    return torch.stack(losses).sum()


def _label_entropy(log_probability: Tensor, batch: ClipBatch, index: int) -> Tensor:
    target = batch.target[:, :, index]
    background = (1 - target.sum(dim=1, keepdim=True)).clamp(0, 1)
    every = torch.cat([background, target], dim=1)
    loss = -(every * log_probability[:, : every.shape[1]].clamp(min=-20)).sum(dim=1)
    return weighted_mean(loss, batch.weight[:, index])


def _binary_logit(log_probability: Tensor) -> Tensor:
    sure = log_probability.clamp(max=-1e-6)
    return sure - torch.log(-torch.expm1(sure))


def _judgement(decoded: DecodedObjects, logit: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    seen = ((target * weight).sum(dim=(1, 2, 3)) >= SEEN).float()
    presence = F.binary_cross_entropy_with_logits(decoded.present_P, seen)
    with torch.no_grad():
        mask, truth = (logit > 0) * weight, (target > 0.5) * weight
        both = (mask * truth).sum(dim=(1, 2, 3))
        either = (mask + truth - mask * truth).sum(dim=(1, 2, 3))
        jaccard = both / either.clamp(min=1.0)
    quality = weighted_bce(decoded.quality_P, jaccard, seen)
    return presence + quality


@torch.inference_mode()
def clip_table(network: CovosFollow, encoder: CovosLite, batch: ClipBatch) -> Tensor:
    """Show clips in rows: the first frame with what was given, then frames with predictions.

    Args:
        network: In evaluation mode.
        encoder: The frozen covos-lite.
        batch: On the network's device.

    Returns:
        3 x (B H) x (K W) uint8 RGB.
    """
    followed = follow_clips(network, encoder, batch, precision=torch.float32)
    given = torch.cat([1 - batch.target[:, :, 0].sum(dim=1, keepdim=True), batch.target[:, :, 0]], dim=1)
    found = [given.clamp(0, 1), *(logs.exp() for logs in followed.log_probability)]
    colours = batch.target.new_tensor(COLOURS)

    def cell(image: Tensor, probability: Tensor) -> Tensor:
        part = probability[: len(COLOURS)]
        tint = torch.einsum("ohw,oc->chw", part, colours[: len(part)])
        return 0.5 * (image / 255) + 0.5 * F.interpolate(tint[None], size=image.shape[1:], mode="nearest")[0]

    return picture_table(
        [cell(image, probability[clip]) for image, probability in zip(images, found, strict=True)]
        for clip, images in enumerate(batch.image)
    )


def validate_following(engine: FollowEngine, dataset: Dataset, *, every: int) -> Validation:
    """Follow the objects of the first annotation through each video, and score them.

    Args:
        engine: With the network in evaluation mode.
        dataset: Annotated videos.
        every: Score every so many frames, first and last left out as in the DAVIS protocols.

    Returns:
        Means over frames and objects of each video, then over videos.
    """
    scores: dict[str, tuple[float, float]] = {}
    for video in dataset:
        first = video.first_annotation
        if video.kind != "video" or first is None:
            continue
        pairs = list(_scored(engine, video, video.frames[video.frames.index(first) :], every=every))
        if pairs:
            scores[video.name] = (float(np.mean([j for j, _ in pairs])), float(np.mean([f for _, f in pairs])))
    lacking = "none of its videos has an object in its first annotation and annotated frames after it"
    return mean_scores(scores, dataset, lacking=lacking)


def _scored(
    engine: FollowEngine, video: Video, records: tuple[FrameRecord, ...], *, every: int
) -> Iterator[tuple[float, float]]:
    first = read_labels(video, records[0])
    given = {int(identity): first == identity for identity in np.unique(first) if identity not in (0, VOID)}
    if not given:
        return
    measured = range(1, len(records) - 1, every)
    frames = engine.encoder.observe(frames_of(records))
    for result in engine.forward(frames, {0: given}, memory=DEFAULT_MEMORY):
        index = result.frame.index
        if index not in measured or records[index].annotation is None:
            continue
        truth = read_labels(video, records[index])
        for identity in given:
            mask, true, void = result.labels == identity, truth == identity, truth == VOID
            yield jaccard(mask, true, void=void), boundary_f(mask, true, void=void)


class FollowTask(FrozenEncoderTask[FollowRecipe]):
    """Training of covos-follow, see `covos.training.task.Task`."""

    name = "covos-follow"
    architecture = "follow"
    network_type = CovosFollow
    batches_type = ClipBatches

    def losses(self, network: nn.Module, batch: ClipBatch, *, precision: torch.dtype) -> dict[str, Tensor]:
        """Return the losses by name, see `Losses`."""
        assert isinstance(network, CovosFollow)
        encoder = self.encoder_on(batch.image.device)
        return batch_losses(network, encoder, batch, self.recipe, precision=precision)._asdict()

    def pictures(self, network: nn.Module, batch: ClipBatch) -> Tensor:
        """Show clips and what was found in them."""
        assert isinstance(network, CovosFollow)
        return clip_table(network, self.encoder_on(batch.image.device), batch)

    def measure(
        self, network: nn.Module, dataset: Dataset, *, device: torch.device, precision: torch.dtype, every: int
    ) -> Validation:
        """Follow the first annotation of each video, through the engine that users run."""
        assert isinstance(network, CovosFollow)
        encoder = self.encoder.to(device)
        frame_encoder = FrameEncoder(encoder, device=device, precision=precision, area=DEFAULT_AREA, batch=4)
        return validate_following(FollowEngine(frame_encoder, network), dataset, every=every)
