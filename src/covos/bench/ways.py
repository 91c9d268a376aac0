"""Ways to compute the networks on this machine."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

import torch

from covos.core.device import Precision, has_bfloat16
from covos.runtimes.choice import ChosenRuntime, Runtime, choose_computing, is_installed


class Way(NamedTuple):
    """A runtime, and a precision."""

    runtime: Runtime
    precision: Precision

    @property
    def name(self) -> str:
        """Both, in words."""
        return f"{self.runtime} {self.precision}"


TORCH: Final = Way("torch", "fp32")
_EVERY: Final = (
    TORCH,
    Way("torch", "bf16"),
    Way("openvino", "fp32"),
    Way("openvino", "bf16"),
    Way("onnxruntime", "fp32"),
)


def ways(runtime: ChosenRuntime | Literal["all"] = "all") -> list[Way]:
    """Return the ways that the processor and what is installed allow; torch in float32 first.

    Args:
        runtime: ``"all"``, or the one to take; ``"auto"`` is the one that a run takes by itself.
    """
    narrow = has_bfloat16()
    here = [way for way in _EVERY if is_installed(way.runtime) and (narrow or way.precision != "bf16")]
    if runtime == "all":
        return here
    computing = choose_computing(device="cpu", runtime=runtime)
    if runtime != "auto":
        return [way for way in here if way.runtime == computing.runtime]
    chosen: Precision = "bf16" if computing.precision == torch.bfloat16 else "fp32"
    return [Way(computing.runtime, chosen)]
