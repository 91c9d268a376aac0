"""Say how much memory a training needs at most: of this process, and of its GPU."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from covos.core.memory import peak_of_process

GIGA = 1e9


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of memory, at most so far.

    Attributes:
        process: Resident memory of this process, without its loader processes; None if the system does not report it.
        gpu: Memory of tensors on the GPU; None without one.
    """

    process: int | None
    gpu: int | None

    def __str__(self) -> str:
        parts = [(self.gpu, "on the GPU"), (self.process, "in the process")]
        return ", ".join(f"{size / GIGA:.2f} GB {where}" for size, where in parts if size is not None) or "not known"


def peak_memory(device: torch.device) -> Memory:
    """Return the peak since the process began; on a GPU, since `restart_peak` was called last."""
    return Memory(peak_of_process(), torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None)


def restart_peak(device: torch.device) -> None:
    """Let the peak of a GPU begin anew; that of a process cannot."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def total_memory(device: torch.device) -> int | None:
    """Return the bytes of memory that a GPU has; None for other devices."""
    return int(torch.cuda.get_device_properties(device).total_memory) if device.type == "cuda" else None
