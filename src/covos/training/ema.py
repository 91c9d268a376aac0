"""Exponential moving average of a network's weights (Polyak & Juditsky, 1992)."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def make_average(network: Network) -> Network:
    """A copy that holds the average: in evaluation mode, without gradients."""
    average = copy.deepcopy(network).eval()
    return average.requires_grad_(False)


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, *, decay: float, step: int) -> None:
    """Move the average towards the network, buffers (batch-norm statistics) too.

    Args:
        average: From `make_average`.
        network: As it is after this step.
        decay: In the long run; at the start (1 + step) / (10 + step) if less, so that the first weights are forgotten.
        step: 0-based.
    """
    rate = 1 - min(decay, (1 + step) / (10 + step))
    moving, towards = [], []
    for kept, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if kept.dtype.is_floating_point:
            moving.append(kept)
            towards.append(new)
        else:
            kept.copy_(new)
    # One kernel for all, as `torch.optim.swa_utils` does it: hundreds of small ones take a GPU longer than the step.
    torch._foreach_lerp_(moving, towards, rate)
