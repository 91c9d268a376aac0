"""Ask the system how much memory a process may still take."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

_STATUS = Path("/proc/self/status")
_MEMINFO = Path("/proc/meminfo")
_GROUPS = (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"))
_CGROUP = Path("/sys/fs/cgroup")
_KILO = 1024


def free_memory() -> int | None:
    """Return the bytes of memory that are free for this process: those of the machine or of its container, if fewer.

    None where the system does not tell.
    """
    free = [] if (machine := _row(_MEMINFO, "MemAvailable:")) is None else [machine]
    for limit, used in _GROUPS:
        with suppress(OSError, ValueError):  # no control groups of this version, or the word "max"
            free.append(int((_CGROUP / limit).read_text()) - int((_CGROUP / used).read_text()))
    return max(0, min(free)) if free else None


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


def _row(file: Path, name: str) -> int | None:
    """Return the bytes in a row of one of the kernel's files, which are in kilobytes."""
    with suppress(OSError):
        for line in file.read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * _KILO
    return None
