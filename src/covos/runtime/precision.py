"""Choose the precision of the arithmetic by what the processor computes natively."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from covos.errors import UsageError

if TYPE_CHECKING:
    import torch

Precision: TypeAlias = Literal["auto", "fp32", "bf16", "fp16"]


def choose_precision(device: torch.device, requested: Precision = "auto") -> torch.dtype:
    """The dtype to compute in.

    With ``"auto"``: on a CPU bfloat16 if it has instructions for it (AVX512-BF16 or AMX), else float32, because
    emulated bfloat16 is slower than float32; on CUDA bfloat16 if native, else float16; elsewhere float32.

    Args:
        device: Where it will be computed.
        requested: The user's word; anything but ``"auto"`` is taken as it is.

    Raises:
        UsageError: float16 on a CPU, where torch has no fast kernels for it, or an unknown name.
    """
    import torch

    named = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    if requested == "fp16" and device.type == "cpu":
        raise UsageError(
            "precision fp16 on the CPU", why="torch computes float16 on GPUs", fix="use auto, bf16 or fp32 here"
        )
    if requested in named:
        return named[requested]
    if requested != "auto":
        raise UsageError(
            f"unknown precision {requested!r}", why="it names no dtype", fix=f"use auto, {', '.join(named)}"
        )
    if device.type == "cuda":
        with torch.cuda.device(device):
            return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if device.type == "cpu" and cpu_has_bf16():
        return torch.bfloat16
    return torch.float32


def cpu_has_bf16() -> bool:
    """Whether the CPU has instructions for bfloat16.

    torch keeps its questions about the CPU private, and asks them under names that come and go: a name that is not
    there counts as a no.
    """
    import torch

    questions = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, question, bool)()) for question in questions)
