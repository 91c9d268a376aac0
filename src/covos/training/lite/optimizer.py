"""AdamW with the usual exceptions."""

from __future__ import annotations

import torch
from torch import nn

from covos.training.lite.recipe import LiteRecipe


def make_optimizer(network: nn.Module, recipe: LiteRecipe) -> torch.optim.AdamW:
    """AdamW in four groups: encoder or not, decayed or not.

    Norms, biases and the temperature are not decayed: they scale, and a scale has no reason to be small.
    Each group's peak rate is kept as ``peak``; the loop sets ``lr`` from it.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        groups.setdefault((name.startswith("encoder."), parameter.ndim > 1), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "peak": recipe.encoder_learning_rate if encoder else recipe.learning_rate,
                "lr": 0.0,
                "weight_decay": recipe.weight_decay if decayed else 0.0,
            }
            for (encoder, decayed), parameters in sorted(groups.items())
        ]
    )
