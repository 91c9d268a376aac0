"""What training covos-follow is to the loop."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from covos.core.errors import InputError
from covos.core.types import Frame
from covos.data import Dataset, FrameRecord, Video, read_image, read_labels
from covos.engines.encoding import DEFAULT_AREA, FrameEncoder
from covos.engines.follow import FollowEngine
from covos.engines.memory import DEFAULT_MEMORY
from covos.evaluation import boundary_f, jaccard
from covos.masks import VOID
from covos.models.follow import CovosFollow, DecodedObjects, FollowFeatures, ObjectMemory, aggregate, with_others
from covos.models.lite import CovosLite, Features
from covos.training.distributed import SINGLE_PROCESS, ProcessGroup
from covos.training.follow.batches import ClipBatch, ClipBatches
from covos.training.follow.recipe import FollowRecipe
from covos.training.frozen import OnFrozenEyes
from covos.training.lite.task import read_mask_bce, soft_iou, weighted_bce
from covos.training.validate import Validation

# The loss of one batch of clips: what covos-follow is asked to learn.
#
# Shape legend: B clips, K frames of a clip, O objects, P pairs of a clip and one of its objects, H height, W width.

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

    found: list[DecodedObjects]
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
        every = network.project(encode_clips(eyes, batch, precision=precision))
        parts = [part.reshape(clips, frames, *part.shape[1:]) for part in every]
        mask = batch.target[owner, row, 0].unsqueeze(1)
        found, logs = [], []
        memory: list[ObjectMemory] = []
        for index in range(frames):
            view = FollowFeatures(*(part[:, index] for part in parts))
            if index:
                decoded = network.find(view, ObjectMemory.join(memory), memory[-1], with_others(mask, owner), owner)
                log_probability = aggregate(decoded.logit_P1HW, owner, frames=clips)
                found.append(decoded)
                logs.append(log_probability)
                mask = log_probability.exp()[owner, row + 1].unsqueeze(1)
            if index < frames - 1:
                both = with_others(mask, owner)
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


# Pictures of a training, for TensorBoard.

COLOURS = ((0.0, 0.0, 0.0), (1.0, 0.2, 0.2), (0.2, 1.0, 0.2), (0.3, 0.4, 1.0), (1.0, 0.9, 0.1), (1.0, 0.3, 1.0))


@torch.inference_mode()
def clip_grid(network: CovosFollow, eyes: CovosLite, batch: ClipBatch) -> Tensor:
    """Clips in rows, each above what was found: the first frame with what was given, then frames with predictions.

    Args:
        network: In evaluation mode.
        eyes: The encoder.
        batch: On the network's device.

    Returns:
        3 x (B H) x (K W) uint8 RGB.
    """
    followed = follow_clips(network, eyes, batch, precision=torch.float32)
    given = torch.cat([1 - batch.target[:, :, 0].sum(dim=1, keepdim=True), batch.target[:, :, 0]], dim=1)
    found = [given.clamp(0, 1), *(logs.exp() for logs in followed.log_probability)]
    image = batch.image.float() / 255
    colours = image.new_tensor(COLOURS)
    rows = []
    for clip in range(image.shape[0]):
        cells = []
        for index, probability in enumerate(found):
            part = probability[clip][: len(COLOURS)]
            tint = torch.einsum("ohw,oc->chw", part, colours[: len(part)])
            tint = F.interpolate(tint[None], size=image.shape[3:], mode="nearest")[0]
            cells.append(0.5 * image[clip, index] + 0.5 * tint)
        rows.append(torch.cat(cells, dim=2))
    return (torch.cat(rows, dim=1).clamp(0, 1) * 255).to(torch.uint8).cpu()


# How well a network follows the first annotation of videos, measured through the engine that users run.


def validate_following(
    network: CovosFollow,
    eyes: CovosLite,
    dataset: Dataset,
    *,
    device: torch.device,
    precision: torch.dtype,
    every: int,
) -> Validation:
    """Follow the objects of the first annotation through each video.

    Args:
        network: In evaluation mode.
        eyes: The encoder.
        dataset: Annotated videos.
        device: Where to compute.
        precision: See `FrameEncoder`.
        every: Score every so many frames, first and last left out as in the DAVIS protocols.

    Returns:
        Means over frames and objects of each video, then over videos.
    """
    engine = FollowEngine(FrameEncoder(eyes, device=device, precision=precision, area=DEFAULT_AREA, batch=4), network)
    scores: dict[str, tuple[float, float]] = {}
    for video in dataset:
        first = video.first_annotation
        if video.kind != "video" or first is None:
            continue
        pairs = list(_scored(engine, video, video.frames[video.frames.index(first) :], every=every))
        if pairs:
            scores[video.name] = (float(np.mean([j for j, _ in pairs])), float(np.mean([f for _, f in pairs])))
    if not scores:
        raise InputError(
            f"nothing to measure on in {dataset.root}",
            why="none of its videos has an object in its first annotation and annotated frames after it",
            fix="give videos of three annotated frames or more",
        )
    return Validation.over(scores)


def _scored(
    engine: FollowEngine, video: Video, records: tuple[FrameRecord, ...], *, every: int
) -> Iterator[tuple[float, float]]:
    first = read_labels(video, records[0])
    given = {int(identity): first == identity for identity in np.unique(first) if identity not in (0, VOID)}
    if not given:
        return
    measured = range(1, len(records) - 1, every)
    frames = engine.encoder.observe(_frames(records))
    for result in engine.forward(frames, {0: given}, memory=DEFAULT_MEMORY):
        index = result.frame.index
        if index not in measured or records[index].annotation is None:
            continue
        truth = read_labels(video, records[index])
        for identity in given:
            mask, true, void = result.labels == identity, truth == identity, truth == VOID
            yield jaccard(mask, true, void=void), boundary_f(mask, true, void=void)


def _frames(records: tuple[FrameRecord, ...]) -> Iterator[Frame]:
    for index, record in enumerate(records):
        yield Frame(index=index, stem=record.stem, image=read_image(record), pts=index, time_base=Fraction(1, 25))


class FollowTask(OnFrozenEyes[FollowRecipe]):
    """A `covos.training.task.Task`; see `OnFrozenEyes`."""

    name = "covos-follow"
    architecture = "follow"

    def make_network(self) -> CovosFollow:
        """With random weights."""
        return CovosFollow()

    def batches(self, group: ProcessGroup = SINGLE_PROCESS) -> ClipBatches:
        """Drawn on the fly."""
        return ClipBatches(self.datasets, self.recipe, group=group)

    def losses(self, network: nn.Module, batch: ClipBatch, *, precision: torch.dtype) -> dict[str, Tensor]:
        """See `covos.training.follow.task.Losses`."""
        assert isinstance(network, CovosFollow)
        eyes = self.eyes_on(batch.image.device)
        return batch_losses(network, eyes, batch, self.recipe, precision=precision)._asdict()

    def pictures(self, network: nn.Module, batch: ClipBatch) -> Tensor:
        """Clips and what was found in them."""
        assert isinstance(network, CovosFollow)
        return clip_grid(network, self.eyes_on(batch.image.device), batch)

    def measure(
        self, network: nn.Module, dataset: Dataset, *, device: torch.device, precision: torch.dtype, every: int
    ) -> Validation:
        """Follow the first annotation of each video, through the engine that users run."""
        assert isinstance(network, CovosFollow)
        eyes = self.eyes.to(device)
        return validate_following(network, eyes, dataset, device=device, precision=precision, every=every)
