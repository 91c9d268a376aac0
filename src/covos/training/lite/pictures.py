"""Pictures of a training, for TensorBoard."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from covos.models.lite import CovosLite
from covos.training.lite.batches import Batch
from covos.training.lite.step import siblings

SHOWN = 4


@torch.inference_mode()
def prediction_grid(network: nn.Module, batch: Batch) -> Tensor:
    """The first frames of a batch in columns: frame, target, prediction.

    Args:
        network: A `CovosLite` in evaluation mode.
        batch: On the network's device.

    Returns:
        3 x (3 H) x (4 W) uint8 RGB.
    """
    assert isinstance(network, CovosLite)
    image = batch.image.float() / 255
    features = network.encode(image, batch.motion)
    memory = siblings(network.memorise(features), group_size=batch.group_size)
    logit = network.decode(features, memory).logit_B1HW
    size = image.shape[2:]
    target = F.interpolate(batch.target, size=size, mode="nearest").expand(-1, 3, -1, -1)
    predicted = F.interpolate(logit.sigmoid(), size=size, mode="bilinear").expand(-1, 3, -1, -1)
    columns = torch.cat([image, target, predicted], dim=2)[:SHOWN]
    return (torch.cat(list(columns), dim=2) * 255).to(torch.uint8).cpu()
