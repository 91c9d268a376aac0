"""Networks that run out of memory on purpose: their methods raise what torch raises, where a rule says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

GPU = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 8.00 GiB"
PROCESSOR = (
    "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate "
    "4128768 bytes. Error code 12 (Cannot allocate memory)"
)
Rule = Callable[[int, nn.Module, tuple[Any, ...]], bool]
"""Tells, by the number of the call from 1, the network and the arguments, if a call runs out of memory."""


def out_of_memory(kind: str) -> Exception:
    """Return what a library raises: of a GPU, a processor, Python, or OpenCV."""
    if kind == "gpu":
        return torch.OutOfMemoryError(GPU)
    if kind == "processor":
        return RuntimeError(PROCESSOR)
    if kind == "onednn":
        return RuntimeError("could not create a primitive")
    assert kind == "python"
    return MemoryError()


def starve(
    monkeypatch: pytest.MonkeyPatch, network: type[nn.Module], method: str, *, rule: Rule, kind: str = "gpu"
) -> list[int]:
    """Let a method of a class of networks run out of memory where the rule says so; return a list that counts calls."""
    real, calls = getattr(network, method), [0]

    def starving(self: nn.Module, *arguments: Any, **named: Any) -> Any:
        calls[0] += 1
        if rule(calls[0], self, arguments):
            raise out_of_memory(kind)
        return real(self, *arguments, **named)

    monkeypatch.setattr(network, method, starving)
    return calls


def above(most: int) -> Rule:
    """Refuse batches of more than so many frames."""
    return lambda _call, _network, arguments: len(arguments[0]) > most


def at(*calls: int) -> Rule:
    """Refuse certain calls."""
    return lambda call, _network, _arguments: call in calls


def always(_call: int, _network: nn.Module, _arguments: tuple[Any, ...]) -> bool:
    """Refuse every call."""
    return True
