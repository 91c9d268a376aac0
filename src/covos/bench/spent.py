"""The time that a piece of work takes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple


class Spent(NamedTuple):
    """Seconds of the wall clock, and of the processor: of all threads."""

    wall: float
    processor: float


def timed(work: Callable[[], object]) -> Spent:
    """Do something once."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return Spent(time.perf_counter() - wall, time.process_time() - processor)


def median(spent: Sequence[Spent]) -> Spent:
    """Return the medians of the wall clock and of the processor."""
    wall, processor = (statistics.median(times) for times in zip(*spent, strict=True))
    return Spent(wall, processor)
