"""Choose the runtime that computes the networks: what is installed, and was measured to be faster.

Nothing is measured at the start of a run. ``benchmarks/runtimes.py`` has measured, with AVX-512 and with AVX2 alone
(docs/runtimes.md), and this is what it found; where it has not, torch computes.
"""

from __future__ import annotations

import os
import platform
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias, get_args

from covos.core.device import Precision, choose_precision, resolve_device
from covos.core.errors import EnvironmentProblem, UsageError, one_of
from covos.core.words import Words

if TYPE_CHECKING:
    import torch

Runtime: TypeAlias = Literal["torch", "openvino", "onnxruntime"]
"""Library that computes the networks."""
ChosenRuntime: TypeAlias = Literal["auto", "torch", "openvino", "onnxruntime"]
"""A runtime, or the choice between them; see `choose_computing`."""

VARIABLE: Final = "COVOS_RUNTIME"
"""Variable of the environment that stands in for ``auto``."""
TORCH: Final = Words("--runtime torch", python='runtime="torch"')
"""The runtime that is always there."""
EXTRAS: Final[dict[Runtime, str]] = {"openvino": "openvino", "onnxruntime": "onnx"}
"""Extras of the package that bring a runtime."""


class Computing(NamedTuple):
    """The way in which networks are computed."""

    device: torch.device
    precision: torch.dtype
    runtime: Runtime = "torch"


def choose_computing(
    *, device: str = "auto", precision: Precision = "auto", runtime: ChosenRuntime = "auto"
) -> Computing:
    """Choose device, precision and runtime.

    Args:
        device: See `covos.core.device.resolve_device`.
        precision: See `covos.core.device.choose_precision`.
        runtime: ``"auto"`` takes what the environment's `VARIABLE` names, if it is set. Else it takes OpenVINO on the
            processor of a PC (x86-64), where it is installed; ONNX Runtime, where that is installed and the arithmetic
            is float32 anyway; and torch in all other cases, such as on a GPU.

    Raises:
        UsageError: A name is wrong, or the runtime does not compute on this device or in this precision.
        EnvironmentProblem: The device is not there, or the runtime is not installed.
    """
    check_runtime(runtime)
    named = os.environ.get(VARIABLE, "auto") if runtime == "auto" else runtime
    if named not in get_args(ChosenRuntime):
        raise UsageError(
            f"{VARIABLE}={named}",
            why="it names no runtime",
            fix=one_of(named, get_args(ChosenRuntime)) + "; or unset it",
        )
    if named in EXTRAS and device == "auto":
        device = "cpu"
    target = resolve_device(device)
    if named == "auto":
        named = _fastest(target, precision)
    if named not in EXTRAS:
        return Computing(target, choose_precision(target, precision))
    if target.type != "cpu":
        raise UsageError(
            f"runtime {named} on the device {target}",
            why="it computes on the processor here",
            fix="use " + Words("--device cpu", python='device="cpu"') + ", or " + TORCH,
        )
    if not is_installed(named):
        raise EnvironmentProblem(
            f"the runtime {named} is not installed",
            why=f"the package {named} or onnx is missing",
            fix=f"pip install 'covos[{EXTRAS[named]}]', or use " + TORCH,
        )
    if named == "onnxruntime":
        if precision not in {"auto", "fp32"}:
            raise UsageError(
                f"precision {precision} with onnxruntime",
                why="on processors it computes in float32",
                fix="use auto or fp32, or another runtime",
            )
        precision = "fp32"
    return Computing(target, choose_precision(target, precision), named)


def check_runtime(name: str) -> None:
    """Refuse a name that is no runtime's."""
    if name not in get_args(ChosenRuntime):
        raise UsageError(
            f"unknown runtime {name!r}", why="no library has this name", fix=one_of(name, get_args(ChosenRuntime))
        )


def is_installed(runtime: Runtime) -> bool:
    """Tell if a runtime is installed, with what its graphs are made by; nothing is imported."""
    return runtime == "torch" or (find_spec(runtime) is not None and find_spec("onnx") is not None)


def _fastest(device: torch.device, precision: Precision) -> Runtime:
    import torch

    if device.type != "cpu" or precision == "fp16" or platform.machine().lower() not in {"x86_64", "amd64"}:
        return "torch"
    if is_installed("openvino"):
        return "openvino"
    if is_installed("onnxruntime") and choose_precision(device, precision) == torch.float32:
        return "onnxruntime"
    return "torch"
