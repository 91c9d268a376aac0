"""Let an interruption unwind, so that writers can remove what is half written."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGINT_EXIT = 130
SIGTERM_EXIT = 143


@contextmanager
def unwinding_signals() -> Iterator[None]:
    """Inside the block Ctrl-C raises KeyboardInterrupt and SIGTERM raises SystemExit(143), once.

    The first of them restores the system's own handling: a second Ctrl-C, while the cleaning up takes long, ends the
    process at once. Only the main thread may enter.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def unwind(number: int, _: FrameType | None) -> None:
        for each in before:
            signal.signal(each, signal.SIG_DFL)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(SIGTERM_EXIT)

    for number in before:
        signal.signal(number, unwind)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
