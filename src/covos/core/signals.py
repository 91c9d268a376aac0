"""Handle Ctrl-C and SIGTERM: finish what must not be cut in two, and let writers remove what is half written."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, NoReturn, Self

SIGINT_EXIT = 130
SIGTERM_EXIT = 143
GLANCE: Final = 0.2
"""Seconds after which who waits for a thread looks for a signal, and at the thread: a signal that comes just before the
wait begins, or on the other thread, does not wake it."""


class DeferredSignals:
    """Notes SIGINT and SIGTERM inside the block, so that what must not be cut in two can be finished.

    The first one restores the system's own handling: a second Ctrl-C ends the process at once. Outside the main
    thread, where Python delivers no signals, nothing is ever noted.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        """Number of the signal that came; None if none did."""
        self._at_once = False
        self._before: dict[int, signal.Handlers | int | object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Let a signal inside this block take effect when it comes."""
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def ignore_further(self) -> None:
        """Ignore every further SIGTERM, after the block too: this process is about to end by itself."""
        if signal.SIGTERM in self._before:
            del self._before[signal.SIGTERM]
            signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def take_effect(self) -> NoReturn:
        """Raise what the signal that came stands for: SystemExit(143) for SIGTERM, else KeyboardInterrupt."""
        if self.number == signal.SIGTERM:
            sys.exit(SIGTERM_EXIT)
        raise KeyboardInterrupt

    def _note(self, number: int, _: FrameType | None) -> None:
        for each in self._before:
            signal.signal(each, signal.SIG_DFL)
        self.number = number
        if self._at_once:
            self.take_effect()


@contextmanager
def unwinding_signals() -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt and SIGTERM raise SystemExit(143) inside the block, once."""
    with DeferredSignals() as signals, signals.at_once():
        yield
