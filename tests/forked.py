"""The command line in a fork of the tests' process: a process that can be killed, and need not load the libraries."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from typing import IO

from covos import cli


@dataclass(frozen=True, kw_only=True)
class Fork:
    """A command line that is running."""

    process: BaseProcess
    said: IO[bytes]

    def send(self, number: int) -> None:
        """Send a signal to the process, which has not ended."""
        assert self.process.is_alive()
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def wait_for(self, right: Callable[[], bool], *, seconds: float = 60.0) -> None:
        """Wait until something is so, or the process ends."""
        end = time.monotonic() + seconds
        while self.process.is_alive() and not right() and time.monotonic() < end:
            time.sleep(0.01)

    def end(self, *, seconds: float = 120.0) -> tuple[int, str]:
        """Wait for the end; return the exit code, or the negative number of the signal, and the text of stderr."""
        self.process.join(seconds)
        code = self.process.exitcode
        assert code is not None, f"not done in {seconds:g} s"
        self.said.seek(0)
        return code, self.said.read().decode()


@contextmanager
def forked(*words: object) -> Iterator[Fork]:
    """Run a command line in a fork, for a ``with`` block."""
    with tempfile.TemporaryFile() as said:
        process = get_context("fork").Process(target=_run, args=([str(word) for word in words], said.fileno()))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*multi-threaded", category=DeprecationWarning)
            process.start()
        try:
            yield Fork(process=process, said=said)
        finally:
            process.kill()
            process.join()
            process.close()


def _run(words: list[str], said: int) -> None:
    # As in a program that was just started; pytest has its own.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.dup2(said, 2)
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.exit(cli.main(words))
