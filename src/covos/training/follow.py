"""Training of covos-follow: clips, whose objects are followed from the first frame by what it makes of the others.

Shape legend: B clips, K frames of a clip, O objects, P pairs of a clip and one of its objects, H height, W width.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from covos.core.types import ProbabilityArray
from covos.data import Dataset, FrameRecord, Video, read_labels
from covos.engines.choices import DEFAULT_AREA, DEFAULT_MEMORY
from covos.engines.encoding import FrameEncoder
from covos.engines.find_passes import references_of
from covos.engines.follow import FollowEngine
from covos.engines.shots import one_shot
from covos.evaluation import boundary_f, jaccard
from covos.masks import VOID
from covos.models.coattention import join_memories
from covos.models.follow import (
    MASK_STRIDE,
    OUTPUT_STRIDE,
    Belief,
    CovosFollow,
    DecodedObjects,
    FollowFeatures,
    agreement,
    target_moments,
)
from covos.models.lite import CovosLite
from covos.models.object_masks import aggregate, certainty, with_others
from covos.models.target import TargetKnowledge, fit
from covos.training.lite import siblings
from covos.training.losses import read_mask_bce, soft_iou, weighted_bce, weighted_mean
from covos.training.pools import DrawnBatches
from covos.training.recipe import FollowRecipe
from covos.training.scenes.clips import draw_clip
from covos.training.task import FrozenEncoderTask, picture_table
from covos.training.validate import DatasetSource, FrameScores, Validation, frames_to_score

COLOURS = ((0.0, 0.0, 0.0), (1.0, 0.2, 0.2), (0.2, 1.0, 0.2), (0.3, 0.4, 1.0), (1.0, 0.9, 0.1), (1.0, 0.3, 1.0))
"""Colours of the background and of the first objects, in pictures."""
SEEN = 8.0
"""Cells that must be visible for an object to count as present."""


class ClipBatch(NamedTuple):
    """Clips of one step."""

    image: Tensor
    """B x K x 3 x H x W uint8 RGB."""
    target: Tensor
    """B x O x K x H/2 x W/2 uint8: the share of the cell that the object covers, 255 for all of it; all zero for
    objects that a clip does not have."""
    weight: Tensor
    """B x K x H/2 x W/2 uint8: likewise the share that is not void."""
    motion: Tensor
    """B x K x 4 x H/4 x W/4 float32; all zero for clips whose motion is not known."""
    exists: Tensor
    """B x O bool: whether the clip has the object."""
    flow: Tensor
    """B x K x 2 x H/4 x W/4 float32: from each frame to its predecessor in the clip, in cells of stride 4, see
    `covos.engines.motion.MotionFlow`; all zero in frame 0, and in clips whose flow is not known."""
    cue_known: Tensor
    """B bool: whether the network sees covos-lite's own answer for the clip."""


class ClipBatches(DrawnBatches[ClipBatch, FollowRecipe]):
    """Item s is the batch of step s, see `DrawnBatches`; each process draws its own clips."""

    def __getitem__(self, step: int) -> ClipBatch:
        recipe = self.recipe
        rng = np.random.default_rng((recipe.seed, step, self.group.rank))
        frames = int(rng.choice(recipe.clip_sizes))
        clips = [
            self.skips.draw(lambda _: draw_clip(self.moving, self.still, frames=frames, recipe=recipe, rng=rng))
            for _ in range(recipe.clips_per_step // self.group.size)
        ]
        most = max(1, *(len(clip.masks) for clip in clips))
        cells = clips[0].valid.shape[1:]
        target = np.zeros((len(clips), most, frames, *cells), np.uint8)
        for row, clip in enumerate(clips):
            target[row, : len(clip.masks)] = _as_bytes(clip.masks)
        return ClipBatch(
            torch.from_numpy(np.stack([clip.images for clip in clips])).permute(0, 1, 4, 2, 3),
            torch.from_numpy(target),
            torch.from_numpy(_as_bytes(np.stack([clip.valid for clip in clips]))),
            torch.from_numpy(np.stack([clip.motion for clip in clips])).permute(0, 1, 4, 2, 3),
            torch.tensor([[k < len(clip.masks) for k in range(most)] for clip in clips]),
            torch.from_numpy(np.stack([clip.flow for clip in clips])).permute(0, 1, 4, 2, 3),
            torch.from_numpy(rng.random(len(clips)) < recipe.cue_share),
        )


def _as_bytes(share: ProbabilityArray) -> NDArray[np.uint8]:
    return np.asarray(share * 255 + 0.5, np.uint8)


def as_share(part: Tensor) -> Tensor:
    """Return uint8 shares of a batch as float32 in [0, 1]."""
    return part.float() / 255


class FollowedClips(NamedTuple):
    """A clip followed from its first frame: one entry for each later frame."""

    found: list[DecodedObjects]
    log_probability: list[Tensor]
    """B x (1 + O) x H/2 x W/2 each."""
    row: Tensor
    """P: place of each pair among the O objects of its clip."""
    owner: Tensor
    """P: clip of each pair."""


def observed_clips(network: CovosFollow, encoder: CovosLite, batch: ClipBatch) -> list[FollowFeatures]:
    """Encode clips: the features of each of their K frames, B clips each.

    The cue is covos-lite's own answer, with the other frames of a clip as references.
    """
    clips, frames = batch.image.shape[:2]
    with torch.no_grad():
        image = batch.image.flatten(0, 1).to(memory_format=torch.channels_last).float() / 255
        features = encoder.encode(image, batch.motion.flatten(0, 1))
        cue = encoder.decode(features, siblings(encoder.memorise(features), group_size=frames)).logit_B1HW.float()
    every = network.project(features, cue_B1HW=cue, flow_B2HW=batch.flow.flatten(0, 1))
    known = batch.cue_known.repeat_interleave(frames).float()
    every = every._replace(cue_B1HW=every.cue_B1HW * known.view(-1, 1, 1, 1), cue_known_B=known)
    parts = [part.reshape(clips, frames, *part.shape[1:]) for part in every]
    return [FollowFeatures(*(part[:, index] for part in parts)) for index in range(frames)]


def follow_clips(
    network: CovosFollow, encoder: CovosLite, batch: ClipBatch, *, precision: torch.dtype
) -> FollowedClips:
    """Follow the objects of each clip's first frame, by what the network itself made of the frames between."""
    clips = batch.image.shape[0]
    owner, row = batch.exists.nonzero(as_tuple=True)
    with torch.autocast(batch.image.device.type, precision, enabled=precision != torch.float32):
        views = observed_clips(network, encoder, batch)
        mask = F.avg_pool2d(as_share(batch.target[owner, row, 0]).unsqueeze(1), MASK_STRIDE // OUTPUT_STRIDE)
        both = with_others(mask, owner)
        shown = torch.ones_like(owner, dtype=torch.bool)
        sure = torch.ones_like(mask)
        memory = [network.memorise(views[0], both, owner, certainty_P1HW=sure, given_P=shown)]
        agreed = agreement(both, views[0], owner)
        known = TargetKnowledge(target_moments(views[0], mask, owner, certainty_P1HW=sure))
        found, logs = [], []
        for index, view in enumerate(views[1:], 1):
            with torch.no_grad(), torch.autocast(mask.device.type, enabled=False):
                target = fit(known.moments, owner)
            decoded = network.find(view, join_memories(memory), memory[-1], Belief(both, target, agreed), owner)
            log_probability = aggregate(decoded.logit_P1HW, owner, frames=clips)
            found.append(decoded)
            logs.append(log_probability)
            if index == len(views) - 1:
                break
            mask = F.avg_pool2d(log_probability.exp()[owner, row + 1].unsqueeze(1), MASK_STRIDE // OUTPUT_STRIDE)
            both, sure = with_others(mask, owner), certainty(mask)
            memory.append(network.memorise(view, both, owner, certainty_P1HW=sure, given_P=~shown))
            known = known.follow(target_moments(view, mask, owner, certainty_P1HW=sure))
    return FollowedClips(found, logs, row, owner)


def _label_entropy(log_probability: Tensor, batch: ClipBatch, index: int) -> Tensor:
    target = as_share(batch.target[:, :, index])
    background = (1 - target.sum(dim=1, keepdim=True)).clamp(0, 1)
    every = torch.cat([background, target], dim=1)
    loss = -(every * log_probability[:, : every.shape[1]].clamp(min=-20)).sum(dim=1)
    return weighted_mean(loss, as_share(batch.weight[:, index]))


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


def _score(
    scores: FrameScores, engine: FollowEngine, video: Video, records: tuple[FrameRecord, ...], *, every: int
) -> None:
    first = read_labels(video, records[0])
    given = {int(identity): first == identity for identity in np.unique(first) if identity not in (0, VOID)}
    if not given:
        return
    measured = frames_to_score(records, every=every)
    source = DatasetSource(records)
    engine = engine.within(references_of(source, engine.finder, one_shot(source)))
    frames = engine.encoder.observe(source)
    for result in engine.forward(frames, {0: given}, memory=DEFAULT_MEMORY):
        index = result.frame.index
        if index not in measured:
            continue
        truth = read_labels(video, records[index])
        for identity in given:
            mask, true, void = result.labels == identity, truth == identity, truth == VOID
            j, f = jaccard(mask, true, void=void), boundary_f(mask, true, void=void)
            scores.add(video.name, result.frame, mask=mask, truth=true, j=j, f=f)


class FollowTask(FrozenEncoderTask[FollowRecipe]):
    """Training of covos-follow, see `covos.training.task.Task`."""

    name = "covos-follow"
    architecture = "follow"
    network_type = CovosFollow
    recipe_type = FollowRecipe
    batches_type = ClipBatches
    plain = MappingProxyType(
        {
            "video_share": 1.0,
            "crowd_share": 0.0,
            "twin_share": 0.0,
            "merge_share": 0.0,
            "hide_share": 0.0,
            "motion_share": 1.0,
            "flow_share": 1.0,
            "cue_share": 1.0,
        }
    )

    def losses(self, network: CovosFollow, batch: ClipBatch, *, precision: torch.dtype) -> dict[str, Tensor]:
        """Return the losses of the label maps, of the masks as read from the memory, and of the judgement.

        ``"read"`` teaches what matches what; ``"judge"`` is of presence and of the Jaccard index that is reached.
        """
        followed = follow_clips(network, self.encoder_on(batch.image.device), batch, precision=precision)
        owner, row = followed.owner, followed.row
        masks, reads, judges = [], [], []
        steps = zip(followed.found, followed.log_probability, strict=True)
        for index, (decoded, log_probability) in enumerate(steps, 1):
            target = as_share(batch.target[owner, row, index]).unsqueeze(1)
            weight = as_share(batch.weight[owner, index]).unsqueeze(1)
            masks.append(_label_entropy(log_probability, batch, index))
            logit = _binary_logit(log_probability[owner, row + 1].unsqueeze(1))
            masks.append(soft_iou(logit, target, weight))
            cells = decoded.read_P2hw.shape[2:]
            # Clamped: an average of ones may exceed one by a rounding error, which a cross-entropy refuses.
            small = F.interpolate(target, size=cells, mode="area").clamp(0, 1).expand(-1, 2, -1, -1)
            small_weight = F.interpolate(weight, size=cells, mode="area").expand_as(small)
            reads.append(read_mask_bce(decoded.read_P2hw, small, small_weight))
            judges.append(_judgement(decoded, logit, target, weight))
        mask, read, judge = (torch.stack(losses).sum() / len(reads) for losses in (masks, reads, judges))
        total = mask + self.recipe.read_weight * read + self.recipe.judge_weight * judge
        return {"total": total, "mask": mask, "read": read, "judge": judge}

    @torch.inference_mode()
    def pictures(self, network: CovosFollow, batch: ClipBatch) -> Tensor:
        """Show clips in rows: the first frame with what was given, then frames with predictions."""
        followed = follow_clips(network, self.encoder_on(batch.image.device), batch, precision=torch.float32)
        first = as_share(batch.target[:, :, 0])
        given = torch.cat([1 - first.sum(dim=1, keepdim=True), first], dim=1)
        found = [given.clamp(0, 1), *(logs.exp() for logs in followed.log_probability)]
        colours = given.new_tensor(COLOURS)

        def cell(image: Tensor, probability: Tensor) -> Tensor:
            part = probability[: len(COLOURS)]
            tint = torch.einsum("ohw,oc->chw", part, colours[: len(part)])
            return 0.5 * (image / 255) + 0.5 * F.interpolate(tint[None], size=image.shape[1:], mode="nearest")[0]

        return picture_table(
            [cell(image, probability[clip]) for image, probability in zip(images, found, strict=True)]
            for clip, images in enumerate(batch.image)
        )

    def measure(
        self, network: CovosFollow, dataset: Dataset, *, device: torch.device, precision: torch.dtype, every: int
    ) -> Validation:
        """Follow the objects of the first annotation through each video; the last frame is not scored."""
        encoder = self.encoder.to(device)
        frame_encoder = FrameEncoder(encoder, device=device, precision=precision, area=DEFAULT_AREA, batch=4)
        engine = FollowEngine(frame_encoder, network)
        scores = FrameScores()
        for video in dataset:
            first = video.first_annotation
            if video.kind == "video" and first is not None:
                records = video.frames[video.frames.index(first) :]
                _score(scores, engine, video, records, every=every)
        lacking = "none of its videos has an object in its first annotation and annotated frames after it"
        return scores.validation(dataset, lacking=lacking)
