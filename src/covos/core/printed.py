"""Keep what a library prints off standard output, where commands print what other programs read.

The redirection of `contextlib` would take along what other threads print meanwhile. Here, only the thread that calls
the library is heard elsewhere: on standard error.
"""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

_ASIDE: dict[int, int] = {}
"""How many blocks each thread is in, by its number."""
_LOCK = threading.Lock()


class _Nowhere(io.TextIOBase):
    """Stands for a stream that a program without a terminal does not have."""

    def write(self, text: str) -> int:
        return len(text)


class _Parting:
    """Stands for `sys.stdout`; for a thread that is in a block, it stands for `sys.stderr`. Either may be None."""

    def __init__(self, stdout: TextIO | None) -> None:
        self.stdout = stdout

    def __getattr__(self, name: str) -> Any:
        stream = sys.stderr if threading.get_ident() in _ASIDE else self.stdout
        return getattr(_Nowhere() if stream is None else stream, name)


@contextmanager
def printing_aside() -> Iterator[None]:
    """Let what this thread prints on standard output go to standard error, for the time of a block.

    It reaches what goes through Python's `sys.stdout`, as what extensions print that are made with pybind11.
    """
    me = threading.get_ident()
    with _LOCK:
        _ASIDE[me] = _ASIDE.get(me, 0) + 1
        if not isinstance(sys.stdout, _Parting):
            sys.stdout = _Parting(sys.stdout)
    try:
        yield
    finally:
        with _LOCK:
            _ASIDE[me] -= 1
            if not _ASIDE[me]:
                del _ASIDE[me]
            if not _ASIDE and isinstance(sys.stdout, _Parting):  # else somebody has put another in its place
                sys.stdout = sys.stdout.stdout
