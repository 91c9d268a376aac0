"""Stages: the parts of a network that engines ask for one by one, each of which is exported as one graph.

A stage takes tensors and gives tensors, all float32. Its sizes are names, such as ``H/16``: a graph takes frames of any
size, and any number of references and objects.

    B frames, H x W their size; M positions of a memory; P objects; K points
    N = H/16 W/16 positions at stride 16, L = H/8 W/8 at stride 8
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Sampler: TypeAlias = Callable[[tuple[int, ...]], Tensor]
"""Makes values of a shape, such as those that the stage may meet."""


def normal(shape: tuple[int, ...]) -> Tensor:
    """Make values around 0."""
    return torch.randn(shape)


def share(shape: tuple[int, ...]) -> Tensor:
    """Make values in [0, 1]."""
    return torch.rand(shape)


def flag(shape: tuple[int, ...]) -> Tensor:
    """Make zeros and ones."""
    return torch.rand(shape).round()


def unit(axis: int) -> Sampler:
    """Return a maker of vectors of length 1 along an axis."""
    return lambda shape: F.normalize(torch.randn(shape), dim=axis)


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output of a stage.

    Attributes:
        name: Its name in the graph.
        shape: Numbers and names of sizes, such as ``"B 3 H W"``.
        meaning: One line for the card.
        sample: Makes values to trace and to compare with.
        is_logit: True if its sigmoid is a probability.
    """

    name: str
    shape: str
    meaning: str
    sample: Sampler = normal
    is_logit: bool = False

    @property
    def sizes(self) -> tuple[int | str, ...]:
        """The sizes, each a number or a name."""
        return tuple(int(size) if size.isdecimal() else size for size in self.shape.split())

    @property
    def dynamic(self) -> dict[int, str]:
        """The axes whose sizes are names."""
        return {axis: size for axis, size in enumerate(self.sizes) if isinstance(size, str)}

    def filled(self, sizes: Mapping[str, int]) -> Tensor:
        """Make values, of sizes that `sizes_of` gives."""
        return self.sample(tuple(size if isinstance(size, int) else sizes[size] for size in self.sizes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A part of a network.

    Attributes:
        name: Its name among the stages of the network.
        inputs: See `Port`.
        outputs: See `Port`.
        call: Computes the outputs by the torch network, of the inputs in their order.
        exact: True if it is computed in float32 whatever the rest is: affinities span many powers of ten.
    """

    name: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    call: Callable[..., tuple[Tensor, ...]]
    exact: bool = False


class StageModule(nn.Module):
    """A stage of a torch network as a module of its own, to be exported."""

    def __init__(self, stage: Stage, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self._call = stage.call

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Compute the stage."""
        return self._call(self.network, *inputs)


Program: TypeAlias = Callable[..., tuple[Tensor, ...]]
"""Computes one stage: tensors on the processor in, float32 tensors on the processor out."""
Programs: TypeAlias = Mapping[str, Program]
"""The programs of a network's stages, by their names."""


def sizes_of(*, frames: int, height: int, width: int, references: int, objects: int, points: int = 2) -> dict[str, int]:
    """Return a number for each name of a size; height and width are multiples of 32."""
    at_16, at_8 = (height // 16) * (width // 16), (height // 8) * (width // 8)
    strides = {f"{name}/{step}": side // step for name, side in (("H", height), ("W", width)) for step in (2, 4, 8, 16)}
    counts = {"B": frames, "N": at_16, "L": at_8, "M": references * at_16, "P": objects, "K": points}
    return {"H": height, "W": width, **strides, **counts}
