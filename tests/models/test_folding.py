"""Folding changes how a network computes, not what."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from covos.models.follow import CovosFollow
from covos.models.layers import fold_batch_norms, separable_conv
from covos.models.lite import CovosLite


def _lived_in(network: nn.Module) -> nn.Module:
    """With batch norms that do something, as after a training."""
    torch.manual_seed(0)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            for values in (part.running_mean, part.bias):
                nn.init.normal_(values, std=0.2)
            for values in (part.running_var, part.weight):
                nn.init.uniform_(values, 0.5, 2.0)
    return network.eval()


def test_the_results_are_the_same() -> None:
    network = _lived_in(separable_conv(6, 8, dilation=2))
    image = torch.randn(2, 6, 9, 11)
    with torch.inference_mode():
        before = network(image)
        fold_batch_norms(network)
        torch.testing.assert_close(network(image), before)


@pytest.mark.parametrize("kind", [CovosLite, CovosFollow])
def test_no_batch_norm_is_left_in_our_networks(kind: type[nn.Module]) -> None:
    network = kind().eval()
    fold_batch_norms(network)
    assert not [part for part in network.modules() if isinstance(part, nn.BatchNorm2d)]


def test_all_of_covos_lite_gives_the_same_features() -> None:
    network = _lived_in(CovosLite())
    image, motion = torch.rand(1, 3, 64, 96), torch.rand(1, 4, 16, 24)
    with torch.inference_mode():
        before = network.encode(image, motion)
        fold_batch_norms(network)
        for got, want in zip(network.encode(image, motion), before, strict=True):
            torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-3 * float(want.abs().max()))
