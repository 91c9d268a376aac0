from __future__ import annotations

import subprocess
import sys

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


SHORT = """
import resource
from pathlib import Path
import numpy
from covos.core.memory import refuse_shortage
taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + (1 << 20), resource.RLIM_INFINITY))
error = MemoryError("there is none")
try:
    refuse_shortage(error)
except MemoryError as raised:
    print(raised is error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on the address space")
def test_a_shortage_is_told() -> None:
    # A process of its own: one that has worked may hold as much that it does not use.
    done = subprocess.run([sys.executable, "-c", SHORT], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "True\n"
