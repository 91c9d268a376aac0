"""Outputs that are left from an earlier call are never taken for those of this one."""

from __future__ import annotations

import pytest
import torch

from covos.runtimes.sessions import refuse_stale
from covos.runtimes.stages import Port, Stage

STAGE = Stage(
    name="read",
    inputs=(
        Port(name="frame", shape="B 3 H W", meaning="a frame"),
        Port(name="keys", shape="N 8", meaning="the memory"),
    ),
    outputs=(
        Port(name="mask", shape="B 1 H W", meaning="a mask"),
        Port(name="found", shape="N K", meaning="places"),
    ),
    call=lambda *_: (),
)


def outputs(*, frames: int = 1, height: int = 32, keys: int = 5) -> list[torch.Tensor]:
    return [torch.zeros(frames, 1, height, 64), torch.zeros(keys, 7)]


def test_outputs_of_an_earlier_call_are_refused() -> None:
    inputs = [torch.zeros(1, 3, 32, 64), torch.zeros(5, 8)]
    refuse_stale(STAGE, inputs, outputs())
    for earlier in ({"frames": 2}, {"height": 64}, {"keys": 4}):
        with pytest.raises(MemoryError, match="read"):
            refuse_stale(STAGE, inputs, outputs(**earlier))
