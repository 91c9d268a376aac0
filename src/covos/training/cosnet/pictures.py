"""Pictures of a training of COSNet."""

from __future__ import annotations

import torch
from torch import Tensor

from covos.models.cosnet import Cosnet
from covos.training.cosnet.batches import PairBatch

SHOWN = 2


@torch.inference_mode()
def prediction_grid(network: Cosnet, batch: PairBatch) -> Tensor:
    """The first pairs or pictures of a batch in columns: frame, target, prediction.

    Args:
        network: In evaluation mode.
        batch: On the network's device.

    Returns:
        3 x (3 H) x (columns W) uint8 RGB. Three outputs are shown as red, green and blue, one as grey.
    """
    image, target, _ = (part[:SHOWN] for part in batch)
    views = (image.float() / 255).unbind(1)
    prepared = [network.config.preprocessing.apply(view) for view in views]
    logits = (network.still_logits(prepared[0]),) if len(views) == 1 else network.pair_logits(*prepared)
    columns = [
        torch.cat([view, truth.expand(-1, 3, -1, -1), logit.sigmoid().expand(-1, 3, -1, -1)], dim=2)
        for view, truth, logit in zip(views, target.unbind(1), logits, strict=True)
    ]
    side_by_side = torch.stack(columns, dim=1).flatten(0, 1)
    return (torch.cat(list(side_by_side), dim=2) * 255).to(torch.uint8).cpu()
