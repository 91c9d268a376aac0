from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from covos.core.signals import SIGTERM_EXIT, unwinding_signals

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")


def handlers() -> tuple[object, object]:
    return signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)


def send(number: int) -> None:
    with unwinding_signals():
        os.kill(os.getpid(), number)


def test_ctrl_c_and_sigterm_unwind_and_the_old_handlers_return() -> None:
    before = handlers()
    with pytest.raises(KeyboardInterrupt):
        send(signal.SIGINT)
    assert handlers() == before
    with pytest.raises(SystemExit) as caught:
        send(signal.SIGTERM)
    assert caught.value.code == SIGTERM_EXIT
    assert handlers() == before


_STUBBORN = """
import os, signal
from covos.core.signals import unwinding_signals
with unwinding_signals():
    try:
        os.kill(os.getpid(), signal.SIGINT)
    finally:
        print("cleaning", flush=True)
        os.kill(os.getpid(), signal.SIGINT)
        print("never", flush=True)
"""


def test_a_second_ctrl_c_ends_a_long_clean_up() -> None:
    done = subprocess.run([sys.executable, "-c", _STUBBORN], capture_output=True, text=True, check=False)
    assert done.stdout == "cleaning\n"
    assert done.returncode == -signal.SIGINT


_ENDING = """
import os, signal
from covos.core.signals import DeferredSignals
with DeferredSignals() as signals:
    os.kill(os.getpid(), signal.SIGTERM)
    signals.ignore_further()
    os.kill(os.getpid(), signal.SIGTERM)
os.kill(os.getpid(), signal.SIGTERM)
print("finished", signals.number)
"""


def test_a_process_that_is_ending_finishes_however_often_it_is_told_to_end() -> None:
    done = subprocess.run([sys.executable, "-c", _ENDING], capture_output=True, text=True, check=False)
    assert done.stdout == f"finished {int(signal.SIGTERM)}\n"
    assert done.returncode == 0
