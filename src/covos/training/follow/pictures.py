"""Pictures of a training, for TensorBoard."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from covos.models.follow import CovosFollow
from covos.models.lite import CovosLite
from covos.training.follow.batches import ClipBatch
from covos.training.follow.step import follow_clips

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
