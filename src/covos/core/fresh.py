"""Fresh processes: they begin with nothing of the one that makes them, and do not run the user's program again.

Python lets a process that it spawns import the program that was started, for functions that lie in it. The workers of
covos need nothing of it. A script without ``if __name__ == "__main__":`` would run again in each of them, and end there
with an error, since it would start workers of its own.
"""

from __future__ import annotations

import multiprocessing
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import spawn
from multiprocessing.context import BaseContext, SpawnContext, SpawnProcess

_LOCK = threading.RLock()
_OF_MAIN = ("init_main_from_name", "init_main_from_path", "main_path")


class _Fresh:
    """The start that both kinds of processes share."""

    def start(self) -> None:
        with _without_main():
            super().start()  # type: ignore[misc]


class _SpawnProcess(_Fresh, SpawnProcess):
    pass


class _SpawnContext(SpawnContext):
    Process = _SpawnProcess  # type: ignore[assignment,unused-ignore]


if sys.platform != "win32":
    from multiprocessing.context import ForkServerContext, ForkServerProcess

    class _ForkServerProcess(_Fresh, ForkServerProcess):
        pass

    class _ForkServerContext(ForkServerContext):
        Process = _ForkServerProcess  # type: ignore[assignment,unused-ignore]


SPAWN: SpawnContext = _SpawnContext()
"""Begins each process with Python itself."""


def fork_server(preload: Sequence[str]) -> BaseContext:
    """Return a context whose processes are copies of one that has imported these modules; `SPAWN` where none can be."""
    if sys.platform == "win32" or "forkserver" not in multiprocessing.get_all_start_methods():
        return SPAWN
    context = _ForkServerContext()
    # Imported once: sixteen processes one after the other would take a minute and a half.
    context.set_forkserver_preload(list(preload))
    return context


@contextmanager
def _without_main() -> Iterator[None]:
    """Leave the user's program out of what processes are told that this thread begins in the block."""
    with _LOCK:
        told, thread = spawn.get_preparation_data, threading.get_ident()

        def without(name: str) -> dict[str, object]:
            found: dict[str, object] = told(name)
            if threading.get_ident() == thread:
                for key in _OF_MAIN:
                    found.pop(key, None)
            return found

        spawn.get_preparation_data = without
        try:
            yield
        finally:
            spawn.get_preparation_data = told
