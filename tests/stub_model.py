"""A model that finds what is bright, in a millisecond: for tests of all that surrounds a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from covos.model import Model, as_model
from covos.models.registry import find_model
from covos.runtimes.choice import Computing


class _Seen(NamedTuple):
    image: Tensor


class _Bright(torch.nn.Module):
    """Answers with the brightness of each frame; it makes nothing of its references."""

    stride = 8
    fixed_size = (24, 32)
    fusions = ("summary",)
    uses_motion = False

    def encode(self, image_BCHW: Tensor, motion_B4HW: Tensor | None = None) -> _Seen:
        return _Seen(image_BCHW)

    def memorise(self, features: _Seen) -> _Seen:
        return features

    def segment(self, features: _Seen, memories: Sequence[Any], *, fusion: str) -> Tensor:
        return 8 * (features.image.mean(1, keepdim=True) - 0.5)


def bright_model() -> Model:
    """Return the model; its name and hash are those of covos-lite."""
    computing = Computing(torch.device("cpu"), torch.float32)
    return as_model(find_model("covos-lite"), _Bright().eval(), computing=computing)
