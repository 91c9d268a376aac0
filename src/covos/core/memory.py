"""Ask the system how much memory a process may still take."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress
from pathlib import Path

from covos.core.errors import EnvironmentProblem

LIBRARIES = 2_200_000_000
"""Address space that the libraries take, those for the processor alone, and that a run takes at the least."""
_STATUS = Path("/proc/self/status")
_MEMINFO = Path("/proc/meminfo")
_GROUPS = (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"))
_CGROUP = Path("/sys/fs/cgroup")
_KILO = 1024
_SOME = 64 << 20


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
