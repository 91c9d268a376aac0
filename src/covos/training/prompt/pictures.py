"""Pictures of a training, for TensorBoard."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from covos.models.lite import CovosLite
from covos.models.prompt import GUIDE_STRIDE, CovosPrompt, Prompt, draw_guide
from covos.training.prompt.batches import PromptBatch
from covos.training.prompt.step import ask
from covos.training.task import split

MOST = 8


@torch.inference_mode()
def prompt_grid(network: CovosPrompt, eyes: CovosLite, batch: PromptBatch) -> Tensor:
    """Frames in rows: what was shown at first, what was found then, what was found and shown at last, the truth.

    Positive clicks are green, negative ones red; the box is blue.

    Args:
        network: In evaluation mode.
        eyes: The encoder.
        batch: On the network's device; its first frames are shown, about eight.

    Returns:
        3 x (B H) x (4 W) uint8 RGB.
    """
    batch = next(split(batch, max(1, len(batch.image) // MOST)))
    asked = ask(network, eyes, batch, precision=torch.float32)
    image = batch.image.float() / 255
    first = _dots(image, Prompt(batch.point, batch.box, batch.previous))
    last = _dots(image, Prompt(asked.point, batch.box, batch.previous))
    cells = [
        _tinted(first, batch.previous),
        _tinted(first, asked.logits[0].sigmoid()),
        _tinted(last, asked.logits[-1].sigmoid()),
        _tinted(image, batch.target),
    ]
    rows = torch.cat(cells, dim=3)
    return (rows.permute(1, 0, 2, 3).flatten(1, 2).clamp(0, 1) * 255).to(torch.uint8).cpu()


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
