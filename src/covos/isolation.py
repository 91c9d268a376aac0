"""Isolation: jobs run in a process of their own, so that one whose decoder or driver dies costs one input.

A library in C can end its whole process, and the system kills one that takes too much memory. The jobs of a batch run
in a worker, one after another, with models that are loaded once. If the worker dies, its job has failed, and another
worker takes the rest.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias

from covos.core.device import configure_threads
from covos.core.errors import CovosError, EnvironmentProblem, SourceError
from covos.core.limits import Limits, limits, set_limits
from covos.core.signals import SIGINT_EXIT, SIGTERM_EXIT, unwinding_signals
from covos.events import Event
from covos.job import Job
from covos.jobs import ModelCache, Outcome, run_jobs
from covos.plan import Plan
from covos.runs.folder import OutputFolder

PATIENCE = 60.0
"""Seconds in which a worker that was asked to stop finishes its frame and its journal."""


class Display(Protocol):
    """A context manager that listens to jobs, one after another."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def __call__(self, job: Job, event: Event) -> None:
        """Take an event of a job."""

    def end(self, *, failed: bool = False) -> None:
        """Note that a job is over."""


Task: TypeAlias = tuple[Plan, OutputFolder]


def run_isolated(tasks: Iterable[Task], *, display: Callable[[], Display]) -> Iterator[Outcome]:
    """Run plans in a process of their own, one after another; whatever happens to one does not stop the others.

    Args:
        tasks: Plans with their folders. They must be picklable: their sources are paths.
        display: Makes the listener of the worker's events, in the worker; picklable.

    Yields:
        One outcome for each plan, in order. Its error is a SourceError if the worker died of it, an EnvironmentProblem
        if the system killed it.

    Raises:
        CovosError: A model cannot be loaded: that is no fault of one input, and ends the batch.
        KeyboardInterrupt, SystemExit: A signal came; the worker has finished its frame, as a job in this process would.
    """
    worker: Worker | None = None
    try:
        for task in tasks:
            worker = worker or Worker(_run_tasks, display)
            try:
                worker.send(task)
                outcome: Outcome | CovosError = worker.receive()
            except (EOFError, OSError):
                outcome, worker = Outcome(name=task[0].name, error=worker.cause_of_death(task[0].name)), None
            if isinstance(outcome, CovosError):
                raise outcome
            yield outcome
    except (KeyboardInterrupt, SystemExit) as stop:
        if worker is not None:
            worker.interrupt(signal.SIGTERM if isinstance(stop, SystemExit) else signal.SIGINT)
        raise
    finally:
        if worker is not None:
            worker.close()


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

    Attributes:
        connection: The end of the pipe to it.
    """

    def __init__(self, work: Callable[..., None], *arguments: object) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        # A daemon: a program that ends in a hurry ends it, too, and does not wait for it.
        self._process = context.Process(
            target=_begin, args=(theirs, work, arguments, limits()), name="covos worker", daemon=True
        )
        self._process.start()
        theirs.close()

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

    def cause_of_death(self, name: str) -> CovosError:
        """Return the error of the task that the process died of."""
        code = self._process.exitcode or 0
        if code in (-signal.SIGINT, -signal.SIGTERM, SIGINT_EXIT, SIGTERM_EXIT):
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
        return SourceError(
            f"{name}: its process died",
            why=f"{how}: a decoder or driver crashed, which no program can catch",
            fix="the file may be damaged: convert it with ffmpeg, or report it with --debug and the file",
        )

    def signal(self, number: int) -> None:
        """Send the process a signal."""
        if self._process.pid is not None and self._process.is_alive():
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, number)

    def interrupt(self, number: int) -> None:
        """Send the process a signal, and wait until it has finished what must not be cut in two."""
        self.signal(number)
        self.join()

    def join(self) -> None:
        """Wait until the process ends, for `PATIENCE` at most."""
        self._process.join(PATIENCE)

    def close(self, *, patience: float = PATIENCE) -> None:
        """End the process: it may finish what it is at, for so many seconds."""
        with suppress(OSError):
            self.connection.send(None)
        self.connection.close()
        self._process.join(patience)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _begin(connection: Connection, work: Callable[..., None], arguments: tuple[object, ...], bounds: Limits) -> None:
    set_limits(**asdict(bounds))
    # Out of the terminal's reach: the process that made this one gets Ctrl-C, and passes it on once.
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    try:
        with unwinding_signals():
            work(connection, *arguments)
    except EOFError:
        return
    except KeyboardInterrupt:
        os._exit(SIGINT_EXIT)
    except SystemExit:
        os._exit(SIGTERM_EXIT)


def _run_tasks(connection: Connection, display: Callable[[], Display]) -> None:
    configure_threads(pipeline=True)
    models = ModelCache()
    with display() as listen:
        while (task := connection.recv()) is not None:
            connection.send(_outcome(task, listen, models))


def _outcome(task: Task, listen: Display, models: ModelCache) -> Outcome | CovosError:
    plan, folder = task
    try:
        (outcome,) = run_jobs([Job(plan, folder, load=models)], listen=listen)
    except CovosError as error:  # of the model: every other job would meet it
        return error
    listen.end(failed=outcome.error is not None)
    return outcome


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has one"
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
