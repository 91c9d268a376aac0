"""Choose the device to compute on, the precision of the arithmetic and the number of threads."""

from __future__ import annotations

import math
import os
import platform
import re
import runpy
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from covos.core.errors import EnvironmentProblem, UsageError

if TYPE_CHECKING:
    import torch

Precision: TypeAlias = Literal["auto", "fp32", "bf16", "fp16"]
"""Precision of the arithmetic; see `choose_precision`."""

_NAME = re.compile(r"auto|cpu|mps|cuda(:(?P<index>\d+))?")
_CPUS = Path("/proc/cpuinfo")
_QUOTA_V2 = Path("/sys/fs/cgroup/cpu.max")
_QUOTA_V1 = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")


def check_device(name: str) -> None:
    """Refuse a name that no machine has a device of."""
    if _NAME.fullmatch(name) is None:
        raise UsageError(
            f"unknown device {name!r}",
            why="a device is auto, cpu, cuda, cuda:N or mps",
            fix="use one of these; `covos doctor` lists those of this machine",
        )


def resolve_device(name: str) -> torch.device:
    """Return the device of a name, after checking that it is there.

    ``"auto"`` is the first CUDA device, else the CPU: Apple's ``mps`` has to be asked for.
    """
    import torch

    _apply_threads()
    check_device(name)
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    wanted = f"cuda:{int(name.partition(':')[2] or 0)}" if name.startswith("cuda") else name
    if wanted not in available_devices():
        why = f"torch sees {torch.cuda.device_count()} CUDA devices"
        if name == "mps":
            why = "Apple's Metal is not available to this build of torch on this machine"
        elif torch.version.cuda is None and torch.version.hip is None:
            why = f"this build of torch ({torch.__version__}) is without CUDA"
        fix = f"use auto, or one of: {', '.join(available_devices())}"
        raise EnvironmentProblem(f"there is no device {name!r}", why=why, fix=fix)
    return torch.device(name)


def available_devices() -> tuple[str, ...]:
    """List the names of the devices that this machine and this build of torch offer, the CPU first.

    A build without any other device tells so in its file of versions, so torch is not loaded for that.
    """
    if _built_for_cpu_alone():
        return ("cpu",)
    import torch

    cuda = tuple(f"cuda:{index}" for index in range(torch.cuda.device_count()))
    return ("cpu", *cuda, *(("mps",) if torch.backends.mps.is_available() else ()))


def _built_for_cpu_alone() -> bool:
    """Tell if torch is a build without CUDA, ROCm and Metal; false where only torch itself knows."""
    if "torch" in sys.modules or sys.platform == "darwin":
        return False
    found = find_spec("torch")  # it looks for the package, and loads nothing of it
    for folder in (found and found.submodule_search_locations) or ():
        with suppress(OSError, SyntaxError):
            told = runpy.run_path(str(Path(folder) / "version.py"))
            return "cuda" in told and told["cuda"] is None and told.get("hip") is None
    return False


def choose_precision(device: torch.device, requested: Precision = "auto") -> torch.dtype:
    """Choose the dtype to compute in, by what the processor computes natively.

    With ``"auto"``: on a CPU bfloat16 if it computes faster in it, else float32. It does with AMX, and with AVX512-BF16
    unless it is Intel's, where these instructions are no faster than those for float32. On CUDA bfloat16 if native,
    else float16; elsewhere float32. Other requests are taken as they are, but float16 on a CPU, where torch has no fast
    kernels for it, is refused.

    Raises:
        UsageError: The precision is unknown, or float16 on a CPU.
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
    if device.type == "cpu" and (_has("_is_amx_tile_supported") or (has_bfloat16() and not _is_of_intel())):
        return torch.bfloat16
    return torch.float32


def has_bfloat16() -> bool:
    """Tell if the processor has instructions for bfloat16, be they faster than those for float32 or not."""
    return _has("_is_amx_tile_supported") or _has("_is_avx512_bf16_supported")


def _has(question: str) -> bool:
    import torch

    # torch keeps these private, under names that come and go: one that is not there counts as a no.
    return bool(getattr(torch.cpu, question, bool)())


def _is_of_intel() -> bool:
    """Tell if the processor is Intel's, where the system says so."""
    with suppress(OSError), _CPUS.open(encoding="utf-8", errors="replace") as lines:
        vendor = next((line for line in lines if line.startswith("vendor_id")), "")
        return "GenuineIntel" in vendor
    return "GenuineIntel" in platform.processor()


def usable_cpus() -> int:
    """Count the processors that this process may use: its affinity or the quota of its container, if smaller.

    torch knows the affinity, but not the quota: in a container that is given 2 of 64 processors it would start 64
    threads that wait for one another.
    """
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):  # no control groups of Linux, or the word "max"
        if _QUOTA_V2.exists():
            granted, period = _QUOTA_V2.read_text().split()
        else:
            granted, period = _QUOTA_V1.read_text(), _QUOTA_V1.with_name("cpu.cfs_period_us").read_text()
        if int(granted) > 0:
            return max(1, min(count, math.ceil(int(granted) / int(period))))
    return count


class Threads(NamedTuple):
    """Threads of a run on the processor.

    Attributes:
        network: Threads of each call of a network.
        calls: Calls of a network at a time, where its frames do not depend on one another.
        codec: Threads of a video's encoder.
    """

    network: int
    calls: int
    codec: int


def choose_threads(cpus: int) -> Threads:
    """Return the threads of a run on so many processors.

    Two frames at a time on half of the processors each take less time than one after the other on all: the threads of
    one call wait for each other after each layer. They take 8 each at most, as their batches are small, so more than 16
    processors are used by further calls, up to 4. These share the batch of four frames of a processor, so they take
    about the memory of two calls. A fifth would hold a fifth frame, and bring nothing: on 32 processors the
    networks take less time, at best, than the other stages, which have a thread each. More threads of an encoder cost
    memory and quality. More than two processors were not measured.
    """
    calls = max(2, min(4, cpus // 8)) if cpus > 1 else 1
    return Threads(network=max(1, min(8, cpus // calls)), calls=calls, codec=max(2, min(8, cpus // 2)))


_CALLS = [1]
"""See `calls_at_once`; of the whole process, as the threads of torch are."""


def calls_at_once() -> int:
    """Return how many calls of a network are made at a time, where its frames do not depend on one another."""
    return _CALLS[0]


_PENDING: list[int | None] = [None]
"""Threads that torch is given once it is loaded, by `resolve_device`: a program that only refuses its input does not
load it."""
_GRANTED: list[int | None] = [None]
"""Processors of this process, where others take theirs; None if it has all that are usable."""


def encoder_threads() -> int:
    """Return the threads of an encoder of H.264, by the processors that this process has."""
    return choose_threads(_GRANTED[0] or usable_cpus()).codec


def codec_threads() -> int:
    """Return the threads of any other codec; 0 lets FFmpeg choose, in a process that has all processors."""
    return 0 if _GRANTED[0] is None else max(2, _GRANTED[0])


def configure_threads(*, pipeline: bool = False, share: int = 1, cpus: int | None = None) -> int:
    """Let torch and OpenCV compute on `usable_cpus` threads, or ``OMP_NUM_THREADS``, if set; return those of a call.

    For programs at their start: the count holds for the whole process, so a library should leave them alone. A
    ``pipeline`` makes several calls at a time, which share the threads by `choose_threads`. ``share`` processes that
    work side by side take an equal part each, or ``cpus`` is what each takes. Encoders and decoders keep to it, too.
    """
    import cv2

    told = os.environ.get("OMP_NUM_THREADS", "")
    given = int(told) if told.isdecimal() and int(told) > 0 else None
    if cpus is None and share > 1:
        cpus = max(1, usable_cpus() // share)
    _GRANTED[0] = cpus
    count, calls = (cpus or usable_cpus()) if given is None else given, 1
    if pipeline:
        count, calls, _ = choose_threads(count)
    _CALLS[0] = calls
    cv2.setNumThreads(count)
    _PENDING[0] = count
    if "torch" in sys.modules:
        _apply_threads()
    return count


def _apply_threads() -> None:
    """Give torch the threads that `configure_threads` was asked for."""
    import torch

    if _PENDING[0] is not None:
        torch.set_num_threads(_PENDING[0])
        _PENDING[0] = None
