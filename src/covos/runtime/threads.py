"""Use the processors that this process may use, and no more."""

from __future__ import annotations

import math
import os
from pathlib import Path

_QUOTA_V2 = Path("/sys/fs/cgroup/cpu.max")
_QUOTA_V1 = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")


def usable_cpus() -> int:
    """Processors that this process may use: its affinity and the quota of its container, whichever is smaller.

    torch knows the affinity, but not the quota: in a container that is given 2 of 64 processors it would start 64
    threads that wait for one another.
    """
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota()
    return count if quota is None else max(1, min(count, math.ceil(quota)))


def wait_without_spinning() -> None:
    """Let torch's threads sleep while they wait for one another; ``OMP_WAIT_POLICY``, if set, goes before.

    By default they spin for a while, which takes the processor from the threads that decode and write, and from other
    programs: on a machine with more to do than it has processors, the threads then mostly wait for each other.

    For programs at their start (the command line calls it): it has no effect once torch is imported.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def configure_threads(*, leave: int = 0) -> int:
    """Let torch and OpenCV compute on `usable_cpus` threads; ``OMP_NUM_THREADS``, if set, goes before.

    For programs at their start (the command line calls it): the counts hold for the whole process, so a library
    should leave them alone.

    Args:
        leave: Processors that are left to other threads, if there are more: those that decode and write beside the
            network. On two processors the network alone gains little by the second, and these need it.

    Returns:
        The number of threads.
    """
    import cv2
    import torch

    told = os.environ.get("OMP_NUM_THREADS", "")
    count = int(told) if told.isdecimal() and int(told) > 0 else max(1, usable_cpus() - leave)
    torch.set_num_threads(count)
    cv2.setNumThreads(count)
    return count


def _quota() -> float | None:
    """Processors that the control group grants (Linux, versions 2 and 1); None if it sets no limit."""
    try:
        if _QUOTA_V2.exists():
            granted, period = _QUOTA_V2.read_text().split()
        else:
            granted, period = _QUOTA_V1.read_text(), _QUOTA_V1.with_name("cpu.cfs_period_us").read_text()
        return int(granted) / int(period) if int(granted) > 0 else None
    except (OSError, ValueError):  # no control groups, or the word "max"
        return None
