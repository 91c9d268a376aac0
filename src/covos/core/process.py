"""A process of its own that answers messages: what dies in it costs one answer.

Nothing heavy is imported here: a process that only reads pictures should not hold the libraries of networks.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.resource_tracker
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from importlib import import_module
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any

from covos.core.errors import CovosError, EnvironmentProblem, SourceError
from covos.core.fresh import SPAWN
from covos.core.limits import Limits, limits, set_limits
from covos.core.memory import free_address_space
from covos.core.signals import SIGINT_EXIT, SIGTERM_EXIT, unwinding_signals
from covos.core.words import Words

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext, SpawnContext

PATIENCE = 60.0
"""Seconds in which a worker that was asked to stop finishes its frame and its journal."""
CONTEXT: SpawnContext | ForkServerContext = SPAWN
"""The way a worker begins: with nothing of the threads, locks, GPU and program of the process that makes it."""


def ready(workers: Sequence[Worker], *, timeout: float | None = None) -> list[Worker]:
    """Wait until one of these has answered or died, at most so many seconds; return those that have."""
    found = set(wait([each.connection for each in workers], timeout))
    return [each for each in workers if each.connection in found]


class Worker:
    """A process of its own that answers messages, and dies with the process that made it.

    Args:
        work: Called in the process, with its end of the connection and the arguments. It answers until it receives
            None; an EOFError ends it, too.
        arguments: Picklable.
        loads: Names of modules that it imports before it begins to work.

    Attributes:
        connection: The end of the pipe to it.
    """

    def __init__(self, work: Callable[..., None], *arguments: object, loads: Sequence[str] = ()) -> None:
        self.connection, theirs = CONTEXT.Pipe()
        self._begun: bool | None = None
        self._began, tell = CONTEXT.Pipe(duplex=False)
        # A daemon: a program that ends in a hurry ends it, too, and does not wait for it.
        self._process = CONTEXT.Process(
            target=_begin,
            args=(theirs, tell, work, arguments, limits()),
            kwargs={"loads": tuple(loads)},
            name="covos worker",
            daemon=True,
        )
        with _ctrl_c_held_back():
            self._process.start()
        theirs.close()
        tell.close()

    def send(self, message: object) -> None:
        """Send a message; an OSError if the process is gone."""
        try:
            self.connection.send(message)
        except OSError:
            self._process.join()
            raise

    def receive(self) -> Any:
        """Wait for an answer; an EOFError or OSError if the process is gone."""
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            self._process.join()
            raise

    @property
    def was_stopped(self) -> bool:
        """True if the process has ended by a signal that asks for it."""
        return self._process.exitcode in (-signal.SIGINT, -signal.SIGTERM, SIGINT_EXIT, SIGTERM_EXIT)

    @property
    def never_began(self) -> bool:
        """True if the process ended by itself before it had come to its work: nothing that it was sent is the cause."""
        if self.was_stopped or self._process.exitcode == -getattr(signal, "SIGKILL", 9):
            return False
        return not self._heard()

    @property
    def has_begun(self) -> bool:
        """True once the process has loaded what it needs and has come to its work."""
        return self._heard() if self._begun is not None or self._began.poll() else False

    def _heard(self) -> bool:
        if self._begun is None:
            try:
                self._begun = bool(self._began.recv())
            except (EOFError, OSError):
                self._begun = False
        return self._begun

    def cause_of_death(self, name: str) -> CovosError:
        """Return the error of the task that the process died of."""
        code = self._process.exitcode or 0
        if self.was_stopped:
            return EnvironmentProblem(
                f"{name}: its process was stopped", why="a signal was sent to it alone", fix="run it again"
            )
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        if code == -getattr(signal, "SIGKILL", 9):
            return EnvironmentProblem(
                f"{name}: its process was killed",
                why=f"{how} comes from the system, most often because memory ran out",
                fix="close other programs, or use a smaller input; then run it again",
            )
        if self.never_began:
            return EnvironmentProblem(
                "a process of covos could not begin",
                why=f"it ended with {how} before it had come to any input",
                fix="what Python printed above says why; `covos doctor` looks at the installation",
            )
        space = free_address_space()
        if space is not None:
            return EnvironmentProblem(
                f"{name}: its process died",
                why=f"{how}, under a limit on the address space (ulimit -v) that leaves {space / 1e9:.1f} GB: "
                "libraries end the process where they get no memory",
                fix="raise the limit, or remove it; the file may be damaged if it dies then, too",
            )
        return SourceError(
            f"{name}: its process died",
            why=f"{how}: a decoder or driver crashed, which no program can catch",
            fix="the file may be damaged: convert it with ffmpeg, or report it with "
            + Words("--debug and the file", python="the file"),
        )

    def signal(self, number: int) -> None:
        """Send the process a signal."""
        if self._process.pid is not None and self._process.is_alive():
            with suppress(ProcessLookupError, PermissionError):  # it has ended; Windows says the second
                os.kill(self._process.pid, number)

    def interrupt(self, number: int) -> None:
        """Send the process a signal, and wait until it has finished what must not be cut in two."""
        self.signal(number)
        self.join()

    def end(self, *, patience: float) -> None:
        """End the process in the midst of its work: it may clear up for so many seconds; then it is killed."""
        self.signal(signal.SIGTERM)
        self._end(patience)

    def join(self) -> None:
        """Wait until the process ends, for `PATIENCE` at most."""
        self._process.join(PATIENCE)

    def close(self, *, patience: float = PATIENCE) -> None:
        """End the process: it may finish what it is at, for so many seconds. No other thread may wait for an answer."""
        with suppress(OSError):
            self.connection.send(None)
        self.connection.close()
        self._end(patience)

    def hang_up(self, *, patience: float) -> None:
        """End the process as `close` does, while other threads may wait for its answers: they get an EOFError.

        The connection stays open until nobody has it: one that is closed under a thread that reads gives errors of
        Python's, or the bytes of another file.
        """
        with suppress(OSError):
            self.connection.send(None)
        self._end(patience)

    def _end(self, patience: float) -> None:
        self._process.join(patience)
        if self._process.is_alive():
            self._process.kill()
            self._process.join(patience)  # one that waits for a disk that does not answer dies only once that has


def _begin(
    connection: Connection,
    begun: Connection,
    work: Callable[..., None],
    arguments: tuple[object, ...],
    bounds: Limits,
    *,
    loads: tuple[str, ...],
) -> None:
    # Out of the terminal's reach: the process that made this one gets Ctrl-C, and passes it on once.
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)
    for name in loads:
        import_module(name)
    try:
        begun.send(True)
        begun.close()
        set_limits(**asdict(bounds))
        threading.Thread(target=_die_with_parent, daemon=True).start()
        with unwinding_signals():
            _take_ctrl_c()
            work(connection, *arguments)
    except (EOFError, ConnectionError):  # nobody asks or listens any more
        return
    except KeyboardInterrupt:
        os._exit(SIGINT_EXIT)
    except SystemExit:
        os._exit(SIGTERM_EXIT)


@contextmanager
def _ctrl_c_held_back() -> Iterator[None]:
    """Let a process that begins in this block wait with Ctrl-C until it calls `_take_ctrl_c`.

    It inherits the mask. Until it has a process group of its own, the terminal reaches it, and Python would print
    where it was.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    multiprocessing.resource_tracker.ensure_running()  # it lifts the mask when it begins
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _take_ctrl_c() -> None:
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has one"
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
