"""The memory of a process: how much it may still take, how much it took, and when it gives it back."""

from __future__ import annotations

import ctypes
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from covos.core.errors import EnvironmentProblem

if TYPE_CHECKING:
    from collections.abc import Iterator

LIBRARIES = 2_200_000_000
"""Address space that the libraries take, those for the processor alone, and that a run takes at the least."""
_STATUS = Path("/proc/self/status")
_MEMINFO = Path("/proc/meminfo")
_GROUPS = (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"))
_CGROUP = Path("/sys/fs/cgroup")
_KILO = 1024
_SOME = 64 << 20
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Numbers of the options of ``mallopt``, as in ``malloc.h`` of glibc."""
_LARGEST_INT = 2**31 - 1
_MOST_OF_OLD = 32 << 20
"""Bytes: old versions of glibc refuse more."""
_GLIBC_THRESHOLD = 128 << 10
"""Bytes: glibc's own for both."""


def free_memory() -> int | None:
    """Return the bytes of memory that are free for this process: those of the machine or of its container, if fewer.

    None if the system does not report it.
    """
    free = [] if (machine := _row(_MEMINFO, "MemAvailable:")) is None else [machine]
    for limit, used in _GROUPS:
        with suppress(OSError, ValueError):  # no control groups of this version, or the word "max"
            free.append(int((_CGROUP / limit).read_text()) - int((_CGROUP / used).read_text()))
    return max(0, min(free)) if free else None


def give_back() -> None:
    """Give memory that was freed back to the system, where the C library can: glibc keeps much of it for later."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


@contextmanager
def keeping_freed_memory() -> Iterator[None]:
    """Let the process keep the memory that it frees, so that it need not be cleared again; at the end it is given back.

    For work that takes and frees the same large arrays again and again. The C library asks the system for each large
    array otherwise, and the system clears every page: a third of the processor's time in a training. It is for glibc;
    nothing is done with another C library.
    """
    try:
        library = ctypes.CDLL(None)
        set_option, _ = library.mallopt, library.malloc_trim
    except (OSError, AttributeError, TypeError):  # another C library; Windows, which has no None there
        yield
        return
    set_option(_MMAP_THRESHOLD, _LARGEST_INT) or set_option(_MMAP_THRESHOLD, _MOST_OF_OLD)
    set_option(_TRIM_THRESHOLD, _LARGEST_INT)
    try:
        yield
    finally:
        set_option(_MMAP_THRESHOLD, _GLIBC_THRESHOLD)
        set_option(_TRIM_THRESHOLD, _GLIBC_THRESHOLD)
        give_back()


def refuse_small_address_space() -> None:
    """Refuse a limit on the address space under which the libraries cannot even be loaded; for programs at their start.

    Under such a limit they end the process, rather than raise an error. If they are loaded, nothing is refused.

    Raises:
        EnvironmentProblem: There is such a limit.
    """
    space = free_address_space()
    if space is not None and space < LIBRARIES and "torch" not in sys.modules:
        raise EnvironmentProblem(
            "out of memory before the libraries are loaded",
            why=f"a limit (ulimit -v) leaves {space / 1e9:.1f} GB of address space, and {LIBRARIES / 1e9:.1f} GB are "
            "the least",
            fix="raise the limit",
        )


def free_address_space() -> int | None:
    """Return the bytes of address space that a limit (``ulimit -v``) leaves to this process; None without a limit."""
    if sys.platform == "win32":
        return None
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    taken = _row(_STATUS, "VmSize:")
    if limit == resource.RLIM_INFINITY or taken is None:
        return None
    return max(0, limit - taken)


def peak_of_process() -> int | None:
    """Return the bytes of memory that this process had resident at most; None if the system does not report it."""
    # Not ru_maxrss where Linux offers better: a process inherits that from the one that started it.
    if (peak := _row(_STATUS, "VmHWM:")) is not None or sys.platform == "win32":
        return peak
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else _KILO)


def refuse_shortage(error: BaseException) -> None:
    """Raise an error again that says that there is no memory, if that is so: damaged files make decoders say it, too.

    They may say it at each of thousands of packets. So the memory is asked for and not touched: to clear it would take
    much longer than to decode.

    Raises:
        MemoryError: The error itself, where not even some memory is to be had.
    """
    if isinstance(error, MemoryError):
        import numpy as np  # programs import this room before anything large

        try:
            np.empty(_SOME, np.uint8)
        except MemoryError:
            raise error from None


def _row(file: Path, name: str) -> int | None:
    """Return the bytes in a row of one of the kernel's files, which are in kilobytes."""
    with suppress(OSError):
        for line in file.read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * _KILO
    return None
