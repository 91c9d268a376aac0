"""Training of covos-prompt: frames with prompts, which it answers, and is corrected by clicks, round by round.

Shape legend: B frames, K points, R rounds, H height, W width.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import Generator
from torch import Tensor

from covos.core.errors import InputError
from covos.core.progress import counted
from covos.core.types import MaskArray, Point, ProbabilityArray
from covos.data import Dataset, Video, read_foreground
from covos.engines.choices import DEFAULT_AREA
from covos.engines.encoding import FrameEncoder
from covos.engines.prompt import NetworkPrompter
from covos.evaluation import boundary_f, jaccard
from covos.evaluation.clicks import next_click
from covos.models.lite import CovosLite
from covos.models.prompt import GUIDE_STRIDE, OUTPUT_STRIDE, CovosPrompt, PromptTensors, draw_guide
from covos.training.clicks import DrawnPrompt, corrective_click, draw_prompt
from covos.training.losses import contour_weight, soft_iou
from covos.training.pools import DrawnBatches
from covos.training.recipe import PromptRecipe
from covos.training.scenes.frames import ObjectFrame, draw_frame
from covos.training.scenes.windows import area_average
from covos.training.task import FrozenEncoderTask, picture_table, split
from covos.training.validate import DatasetSource, FrameScores, Validation, frames_to_score

FOCUS = 2.0
"""Exponent of the focal loss."""
SHOWN = 8
"""Frames of a batch that are shown, about."""
CLICKS = (1, 3)
"""Numbers of clicks after which the mask is scored."""
MIN_CELLS = 60
"""An object must cover so many cells of the output to be asked for: a disc of 18 pixels."""
TRIES = 12


class PromptBatch(NamedTuple):
    """Frames of one step."""

    image: Tensor
    """B x 3 x H x W uint8 RGB, channels-last in memory."""
    motion: Tensor
    """B x 4 x H/4 x W/4 float32; all zero for frames whose motion is not known."""
    target: Tensor
    """B x 1 x H/2 x W/2 float32 in [0, 1]: the object that is meant."""
    weight: Tensor
    """B x 1 x H/2 x W/2 float32 in [0, 1]; 0 where the annotation is void."""
    point: Tensor
    """B x K x 3 float32, as the next two: what is shown first, see `covos.models.prompt.PromptTensors`."""
    box: Tensor
    """B x 5."""
    previous: Tensor
    """B x 1 x H/2 x W/2."""
    draw: Tensor
    """B x R x 2 float32 in [0, 1): random numbers for the clicks of each round."""
    rounds: int
    """Number of times that the network is asked: R. After the last one no click is put, so R is never 0."""


class PromptBatches(DrawnBatches[PromptBatch, PromptRecipe]):
    """Item s is the batch of step s, see `DrawnBatches`; each process draws its own frames."""

    def __getitem__(self, step: int) -> PromptBatch:
        recipe = self.recipe
        # All processes ask as often, so that none waits for the others.
        rounds = int(np.random.default_rng((recipe.seed, step)).choice(recipe.rounds))
        rng = np.random.default_rng((recipe.seed, step, self.group.rank))
        drawn = [self.skips.draw(lambda _: self._frame(rng)) for _ in range(recipe.frames_per_step // self.group.size)]
        frames, targets, weights, prompts = zip(*drawn, strict=True)
        return PromptBatch(
            torch.from_numpy(np.stack([frame.image for frame in frames])).permute(0, 3, 1, 2),
            torch.from_numpy(np.stack([frame.motion for frame in frames])).permute(0, 3, 1, 2),
            torch.from_numpy(np.stack(targets))[:, None],
            torch.from_numpy(np.stack(weights))[:, None],
            torch.from_numpy(np.stack([prompt.point for prompt in prompts])),
            torch.from_numpy(np.stack([prompt.box for prompt in prompts])),
            torch.from_numpy(np.stack([prompt.previous for prompt in prompts]))[:, None],
            torch.from_numpy(rng.random((len(prompts), rounds, 2), np.float32)),
            rounds,
        )

    def _frame(self, rng: Generator) -> tuple[ObjectFrame, ProbabilityArray, ProbabilityArray, DrawnPrompt]:
        for _ in range(TRIES):
            frame = draw_frame(self.moving, self.still, recipe=self.recipe, rng=rng)
            weight = area_average(frame.valid, stride=OUTPUT_STRIDE)
            valid = weight > 0.5
            masks = [area_average(mask, stride=OUTPUT_STRIDE) for mask in frame.masks]
            large = [k for k, mask in enumerate(masks) if ((mask > 0.5) & valid).sum() >= MIN_CELLS]
            if not large:
                continue
            chosen = int(rng.choice(large))
            others = np.zeros(valid.shape, np.bool_)
            for k, mask in enumerate(masks):
                others |= (mask > 0.5) & (k != chosen)
            target = masks[chosen]
            return frame, target, weight, draw_prompt(target > 0.5, others, valid, recipe=self.recipe, rng=rng)
        raise InputError(
            "there is nothing to click on in the training data",
            why=f"of {TRIES} frames drawn none shows an object of any size",
            fix="look at the annotations with: covos data inspect ROOT",
        )


class Answers(NamedTuple):
    """Answers of the network in each round, and the clicks that it was shown."""

    logits: list[Tensor]
    """B x 1 x H/2 x W/2 each."""
    point: Tensor
    """B x K x 3: the clicks of the last round."""


def ask(network: CovosPrompt, encoder: CovosLite, batch: PromptBatch, *, precision: torch.dtype) -> Answers:
    """Ask the network, and correct it, round by round; no gradient flows from a round into the one before."""
    image = batch.image.to(memory_format=torch.channels_last).float() / 255
    with torch.autocast(image.device.type, precision, enabled=precision != torch.float32):
        with torch.no_grad():
            features = encoder.encode(image, batch.motion)
        view = network.project(features)
        point, previous = batch.point, batch.previous
        logits: list[Tensor] = []
        for index in range(batch.rounds):
            if logits:
                last = logits[-1].detach()
                click = corrective_click(last, batch.target, batch.weight, batch.draw[:, index])
                # As in use: what is handed back is a mask, not a probability.
                point, previous = torch.cat([point, click], dim=1), (last > 0).float()
            logits.append(network.find(view, PromptTensors(point, batch.box, previous)))
    return Answers(logits, point)


def normalised_focal(logit: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Focal loss whose weights sum to the number of pixels (Sofiiuk et al., *AdaptIS*, ICCV 2019, section 3.3).

    So the gradient does not vanish as the network grows sure: it moves to the pixels that are still wrong. With soft
    targets the focus is on |p - t|, as in the quality focal loss (Li et al., NeurIPS 2020).
    """
    logit = logit.float()
    entropy = F.binary_cross_entropy_with_logits(logit, target, reduction="none")
    focus = (logit.sigmoid() - target).abs().pow(FOCUS) * weight
    total = focus.detach().sum(dim=(1, 2, 3))
    # At most as if a tenth of a per cent of the pixels were fully wrong: a perfect mask must not shout.
    least = 1e-3 * weight.sum(dim=(1, 2, 3)) + 1e-6
    return ((focus * entropy).sum(dim=(1, 2, 3)) / torch.maximum(total, least)).mean()


def _tinted(image: Tensor, mask: Tensor) -> Tensor:
    alpha = 0.5 * F.interpolate(mask, size=image.shape[2:], mode="nearest")
    return image * (1 - alpha) + alpha * image.new_tensor([1.0, 0.8, 0.1]).view(1, 3, 1, 1)


def _dots(image: Tensor, prompt: PromptTensors) -> Tensor:
    guide = F.interpolate(
        draw_guide(prompt, size=[side // GUIDE_STRIDE for side in image.shape[2:]]), size=image.shape[2:]
    )
    for channel, colour in ((0, (0.0, 1.0, 0.0)), (2, (1.0, 0.0, 0.0))):
        alpha = (guide[:, channel : channel + 1] > 0.5).float()
        image = image * (1 - alpha) + alpha * image.new_tensor(colour).view(1, 3, 1, 1)
    box = 0.2 * guide[:, 4:5]
    return image * (1 - box) + box * image.new_tensor([0.2, 0.3, 1.0]).view(1, 3, 1, 1)


def _score(scores: FrameScores, prompter: NetworkPrompter, video: Video, *, every: int) -> None:
    records = video.frames
    measured = frames_to_score(records, every=every)
    for observed in prompter.encoder.select(DatasetSource(records), measured):
        foreground, valid = read_foreground(video, records[observed.frame.index])
        truth, void = foreground > 0.5, ~valid
        if not truth.any():
            continue
        mask: MaskArray | None = None
        points: list[Point] = []
        for clicks in range(1, max(CLICKS) + 1):
            point = next_click(mask, truth, void=void)
            if point is not None:
                points.append(point)
                mask = prompter.mask(observed, points=points, box=None, previous=mask)
            assert mask is not None, "before the first click all of the object is missing"
            if clicks in CLICKS:
                j, f = jaccard(mask, truth, void=void), boundary_f(mask, truth, void=void)
                name = f"{video.name}, {counted(clicks, 'click')}"
                scores.add(name, observed.frame, mask=mask, truth=truth, j=j, f=f)


class PromptTask(FrozenEncoderTask[PromptRecipe]):
    """Training of covos-prompt, see `covos.training.task.Task`."""

    name = "covos-prompt"
    architecture = "prompt"
    network_type = CovosPrompt
    recipe_type = PromptRecipe
    batches_type = PromptBatches
    plain = MappingProxyType(
        {
            "video_share": 1.0,
            "crowd_share": 0.0,
            "twin_share": 0.0,
            "mates_share": 0.0,
            "spoil_share": 0.0,
            "motion_share": 1.0,
        }
    )

    def losses(self, network: CovosPrompt, batch: PromptBatch, *, precision: torch.dtype) -> dict[str, Tensor]:
        """Return the normalised focal loss and the soft IoU of the masks, means over the rounds."""
        logits = ask(network, self.encoder_on(batch.image.device), batch, precision=precision).logits
        weight = batch.weight * contour_weight(batch.target, strength=self.recipe.edge_weight)
        focal = torch.stack([normalised_focal(logit, batch.target, weight) for logit in logits]).mean()
        overlap = torch.stack([soft_iou(logit, batch.target, batch.weight) for logit in logits]).mean()
        return {"total": focal + overlap, "focal": focal, "overlap": overlap}

    @torch.inference_mode()
    def pictures(self, network: CovosPrompt, batch: PromptBatch) -> Tensor:
        """Show frames in rows: the first prompt, the mask of it, the last mask with its clicks, the truth.

        Positive clicks are green, negative ones red; the box is blue.
        """
        batch = next(split(batch, max(1, len(batch.image) // SHOWN)))
        answers = ask(network, self.encoder_on(batch.image.device), batch, precision=torch.float32)
        image = batch.image.float() / 255
        first = _dots(image, PromptTensors(batch.point, batch.box, batch.previous))
        last = _dots(image, PromptTensors(answers.point, batch.box, batch.previous))
        columns = [
            _tinted(first, batch.previous),
            _tinted(first, answers.logits[0].sigmoid()),
            _tinted(last, answers.logits[-1].sigmoid()),
            _tinted(image, batch.target),
        ]
        return picture_table(zip(*columns, strict=True))

    def measure(
        self, network: CovosPrompt, dataset: Dataset, *, device: torch.device, precision: torch.dtype, every: int
    ) -> Validation:
        """Click on the subject of annotated frames, each by itself, and score the masks after so many clicks."""
        encoder = self.encoder_on(device)
        frame_encoder = FrameEncoder(encoder, device=device, precision=precision, area=DEFAULT_AREA, batch=1)
        prompter = NetworkPrompter(frame_encoder, network)
        scores = FrameScores()
        for video in dataset:
            if video.kind == "video":
                _score(scores, prompter, video, every=every)
        lacking = "none of its videos shows an object between its first annotated frame and its last"
        return scores.validation(dataset, lacking=lacking)
