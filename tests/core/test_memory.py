from __future__ import annotations

import platform
import subprocess
import sys
from unittest import mock

import pytest

from covos.core.memory import keeping_freed_memory, refuse_shortage


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


KEPT = """
import resource, sys
from pathlib import Path
from covos.core.memory import keeping_freed_memory

def pages_of_rounds():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        [bytearray(b"x") * (8 << 20) for _ in range(4)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

before = pages_of_rounds()
with keeping_freed_memory():
    pages_of_rounds()
    within, held = pages_of_rounds(), resident()
print(before, within, pages_of_rounds(), held, resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library decides for itself")
def test_freed_memory_is_kept_for_a_while() -> None:
    done = subprocess.run([sys.executable, "-c", KEPT], capture_output=True, text=True, timeout=60, check=True)
    before, within, after, held, left = map(int, done.stdout.split())
    assert before > 10_000, "each round has its pages cleared"
    assert within < 1000
    assert after > 10_000
    assert left < held - 20_000_000, "what was kept is given back"


def test_another_c_library_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda _: object())
    with keeping_freed_memory():
        pass
    monkeypatch.setattr("ctypes.CDLL", mock.Mock(side_effect=TypeError))
    with keeping_freed_memory():
        pass
