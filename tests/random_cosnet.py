"""A small COSNet with random weights, as a model of the registry."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from covos.models.cards import Card
from covos.models.checkpoints import save_weights
from covos.models.cosnet.network import COSNET_RESNET50, Cosnet
from covos.models.registry import ModelEntry, find_model


def save_cosnet(folder: Path, *, transposed: bool = False, size: tuple[int, int] = (65, 97)) -> ModelEntry:
    """Write its weights to a folder; return its entry."""
    torch.manual_seed(0)
    preprocessing = replace(COSNET_RESNET50.preprocessing, size=size)
    network = Cosnet(replace(COSNET_RESNET50, width=8, transposed=transposed, preprocessing=preprocessing))
    path = folder / f"cosnet-{transposed}.safetensors"
    card = Card(
        name=path.stem,
        architecture="cosnet_resnet50",
        version="0",
        commit="",
        recipe={},
        data=(),
        scores={},
        licence="none",
    )
    save_weights(path, network, card=card)
    return find_model(path)
