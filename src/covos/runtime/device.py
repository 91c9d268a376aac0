"""Choose the device to compute on, by name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from covos.errors import EnvironmentProblem, UsageError

if TYPE_CHECKING:
    import torch

_NAME = re.compile(r"auto|cpu|mps|cuda(:(?P<index>\d+))?")


def resolve_device(name: str) -> torch.device:
    """The device of a name, checked to be there.

    Args:
        name: ``"auto"`` (the first CUDA device, else the CPU), ``"cpu"``, ``"cuda"``, ``"cuda:N"`` or ``"mps"``.
            Apple's ``mps`` has to be asked for.

    Raises:
        UsageError: Not such a name.
        EnvironmentProblem: This machine, or this build of torch, has no such device.
    """
    import torch

    match = _NAME.fullmatch(name)
    if match is None:
        raise UsageError(
            f"unknown device {name!r}",
            why="a device is auto, cpu, cuda, cuda:N or mps",
            fix=f"here are: {', '.join(available_devices())}",
        )
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    wanted = f"cuda:{int(match['index'] or 0)}" if name.startswith("cuda") else name
    if wanted not in available_devices():
        raise EnvironmentProblem(
            f"there is no device {name!r}",
            why=_why_missing(wanted),
            fix=f"use auto, or one of: {', '.join(available_devices())}",
        )
    return torch.device(name)


def available_devices() -> tuple[str, ...]:
    """Names of the devices that this machine and this build of torch offer, the CPU first."""
    import torch

    cuda = tuple(f"cuda:{index}" for index in range(torch.cuda.device_count()))
    return ("cpu", *cuda, *(("mps",) if torch.backends.mps.is_available() else ()))


def _why_missing(name: str) -> str:
    import torch

    if name == "mps":
        return "Apple's Metal is not available to this build of torch on this machine"
    if torch.version.cuda is None and torch.version.hip is None:
        return f"this build of torch ({torch.__version__}) is without CUDA"
    return f"torch sees {torch.cuda.device_count()} CUDA devices"
