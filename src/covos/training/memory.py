"""Say how much memory a training needs at most: of this process, and of its GPU."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

_STATUS = Path("/proc/self/status")
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
    return Memory(_peak_of_process(), torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None)


def restart_peak(device: torch.device) -> None:
    """Let the peak of a GPU begin anew; that of a process cannot."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def total_memory(device: torch.device) -> int | None:
    """Return the bytes of memory that a GPU has; None for other devices."""
    return int(torch.cuda.get_device_properties(device).total_memory) if device.type == "cuda" else None


def _peak_of_process() -> int | None:
    # Not ru_maxrss where Linux offers better: a process inherits that from the one that started it.
    with suppress(OSError):
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        return None
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
