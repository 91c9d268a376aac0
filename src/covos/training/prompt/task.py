"""Training of covos-prompt: its losses, its pictures, and how it is measured.

Shape legend: B frames, K points, H height, W width.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from covos.core.types import MaskArray, Point
from covos.data import Dataset, Video, read_foreground
from covos.engines.encoding import DEFAULT_AREA, FrameEncoder
from covos.engines.prompt import NetworkPrompter
from covos.evaluation import boundary_f, jaccard
from covos.evaluation.clicks import next_click
from covos.models.lite import CovosLite
from covos.models.prompt import GUIDE_STRIDE, CovosPrompt, Prompt, draw_guide
from covos.training.base import FrozenEncoderTask, picture_table
from covos.training.losses import contour_weight, soft_iou
from covos.training.prompt.batches import PromptBatch, PromptBatches
from covos.training.prompt.clicks import corrective_click
from covos.training.prompt.recipe import PromptRecipe
from covos.training.task import split
from covos.training.validate import Validation, frames_of, mean_scores

FOCUS = 2.0
"""Exponent of the focal loss."""
SHOWN = 8
"""Frames of a batch that are shown, about."""
CLICKS = (1, 3)
"""Numbers of clicks after which the mask is scored."""


class Losses(NamedTuple):
    """Scalar losses of a step, means over the rounds; ``total`` is what is minimised."""

    total: Tensor
    focal: Tensor
    """Normalised focal loss of the mask."""
    overlap: Tensor
    """Soft IoU of the mask."""


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
            logits.append(network.find(view, Prompt(point, batch.box, previous)))
    return Answers(logits, point)


def batch_losses(
    network: CovosPrompt, encoder: CovosLite, batch: PromptBatch, recipe: PromptRecipe, *, precision: torch.dtype
) -> Losses:
    """Ask and compare."""
    logits = ask(network, encoder, batch, precision=precision).logits
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
        target: B x 1 x H x W in [0, 1].
        weight: B x 1 x H x W, of each pixel.
    """
    logit = logit.float()
    entropy = F.binary_cross_entropy_with_logits(logit, target, reduction="none")
    focus = (logit.sigmoid() - target).abs().pow(FOCUS) * weight
    total = focus.detach().sum(dim=(1, 2, 3))
    # At most as if a tenth of a per cent of the pixels were fully wrong: a perfect mask must not shout.
    least = 1e-3 * weight.sum(dim=(1, 2, 3)) + 1e-6
    return ((focus * entropy).sum(dim=(1, 2, 3)) / torch.maximum(total, least)).mean()


@torch.inference_mode()
def prompt_table(network: CovosPrompt, encoder: CovosLite, batch: PromptBatch) -> Tensor:
    """Show frames in rows: the first prompt, the mask of it, the last mask with its clicks, the truth.

    Positive clicks are green, negative ones red; the box is blue.

    Args:
        network: In evaluation mode.
        encoder: The frozen covos-lite.
        batch: On the network's device; its first frames are shown, about eight.

    Returns:
        3 x (B H) x (4 W) uint8 RGB.
    """
    batch = next(split(batch, max(1, len(batch.image) // SHOWN)))
    answers = ask(network, encoder, batch, precision=torch.float32)
    image = batch.image.float() / 255
    first = _dots(image, Prompt(batch.point, batch.box, batch.previous))
    last = _dots(image, Prompt(answers.point, batch.box, batch.previous))
    columns = [
        _tinted(first, batch.previous),
        _tinted(first, answers.logits[0].sigmoid()),
        _tinted(last, answers.logits[-1].sigmoid()),
        _tinted(image, batch.target),
    ]
    return picture_table(zip(*columns, strict=True))


def _tinted(image: Tensor, mask: Tensor) -> Tensor:
    alpha = 0.5 * F.interpolate(mask, size=image.shape[2:], mode="nearest")
    return image * (1 - alpha) + alpha * image.new_tensor([1.0, 0.8, 0.1]).view(1, 3, 1, 1)


def _dots(image: Tensor, prompt: Prompt) -> Tensor:
    guide = F.interpolate(
        draw_guide(prompt, size=[side // GUIDE_STRIDE for side in image.shape[2:]]), size=image.shape[2:]
    )
    for channel, colour in ((0, (0.0, 1.0, 0.0)), (2, (1.0, 0.0, 0.0))):
        alpha = (guide[:, channel : channel + 1] > 0.5).float()
        image = image * (1 - alpha) + alpha * image.new_tensor(colour).view(1, 3, 1, 1)
    box = 0.2 * guide[:, 4:5]
    return image * (1 - box) + box * image.new_tensor([0.2, 0.3, 1.0]).view(1, 3, 1, 1)


def validate_prompts(prompter: NetworkPrompter, dataset: Dataset, *, every: int) -> Validation:
    """Click on the subject of annotated frames, each by itself, and score the masks after one click and after three.

    Args:
        prompter: With the network in evaluation mode.
        dataset: Annotated videos; an annotation's non-zero part is the object.
        every: Take every so many frames, first and last left out.

    Returns:
        Means over the frames of each video and number of clicks, then over these.
    """
    scores: dict[str, tuple[float, float]] = {}
    for video in dataset:
        if video.kind != "video":
            continue
        for clicks, pairs in _scored(prompter, video, every=every).items():
            if pairs:
                j, f = np.mean(pairs, axis=0)
                scores[f"{video.name}, {clicks} {'click' if clicks == 1 else 'clicks'}"] = float(j), float(f)
    lacking = "none of its videos shows an object between its first annotated frame and its last"
    return mean_scores(scores, dataset, lacking=lacking)


def _scored(prompter: NetworkPrompter, video: Video, *, every: int) -> dict[int, list[tuple[float, float]]]:
    records = video.frames
    measured = [k for k in range(1, len(records) - 1, every) if records[k].annotation is not None]
    needed = prompter.encoder.needed(measured, frame_count=len(records))
    scores: dict[int, list[tuple[float, float]]] = {clicks: [] for clicks in CLICKS}
    for observed in prompter.encoder.observe(frames_of(records, needed), wanted=measured):
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
                scores[clicks].append((jaccard(mask, truth, void=void), boundary_f(mask, truth, void=void)))
    return scores


class PromptTask(FrozenEncoderTask[PromptRecipe]):
    """Training of covos-prompt, see `covos.training.task.Task`."""

    name = "covos-prompt"
    architecture = "prompt"
    network_type = CovosPrompt
    batches_type = PromptBatches

    def losses(self, network: nn.Module, batch: PromptBatch, *, precision: torch.dtype) -> dict[str, Tensor]:
        """Return the losses by name, see `Losses`."""
        assert isinstance(network, CovosPrompt)
        encoder = self.encoder_on(batch.image.device)
        return batch_losses(network, encoder, batch, self.recipe, precision=precision)._asdict()

    def pictures(self, network: nn.Module, batch: PromptBatch) -> Tensor:
        """Show frames with prompts and masks."""
        assert isinstance(network, CovosPrompt)
        return prompt_table(network, self.encoder_on(batch.image.device), batch)

    def measure(
        self, network: nn.Module, dataset: Dataset, *, device: torch.device, precision: torch.dtype, every: int
    ) -> Validation:
        """Click on the subject of annotated frames, through the engine that users run."""
        assert isinstance(network, CovosPrompt)
        encoder = self.encoder_on(device)
        frame_encoder = FrameEncoder(encoder, device=device, precision=precision, area=DEFAULT_AREA, batch=1)
        return validate_prompts(NetworkPrompter(frame_encoder, network), dataset, every=every)
