from __future__ import annotations

import sys
from pathlib import Path

import pytest

from covos.core.memory import refuse_shortage


@pytest.mark.skipif(sys.platform == "win32", reason="counts pages as the kernel does")
def test_memory_is_asked_for_and_not_touched() -> None:
    """A damaged file makes a decoder say at each of its packets that there is no memory."""
    import resource

    refuse_shortage(MemoryError())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(100):
        refuse_shortage(MemoryError())
    touched = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert touched < 2000  # 16,384 are in the memory that is asked for once


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on the address space")
def test_a_shortage_is_told() -> None:
    import resource

    limits = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    error = MemoryError("there is none")
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (1 << 20), limits[1]))
    try:
        with pytest.raises(MemoryError) as raised:
            refuse_shortage(error)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    assert raised.value is error
