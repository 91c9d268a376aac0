"""Isolation: jobs run in a process of their own, so that one whose decoder or driver dies costs one input.

A library in C can end its whole process, and the system kills one that takes too much memory. The jobs of a batch run
in a worker, one after another, with models that are loaded once. If the worker dies, its job has failed, and another
worker takes the rest.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Protocol, Self, TypeAlias

from covos.core.device import configure_threads
from covos.core.errors import CovosError
from covos.core.process import Worker
from covos.events import Event
from covos.job import Job
from covos.jobs import ModelCache, Outcome, run_job
from covos.plan import Plan
from covos.runs.folder import OutputFolder


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
            worker = worker or Worker(_run_tasks, display, loads=("covos.work.choice",))
            try:
                worker.send(task)
                outcome: Outcome | CovosError = worker.receive()
            except (EOFError, OSError):
                cause = worker.cause_of_death(task[0].name)
                # One that did not begin is no fault of the input: every other would meet it.
                outcome = cause if worker.never_began else Outcome(name=task[0].name, error=cause)
                worker = None
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


def _run_tasks(connection: Connection, display: Callable[[], Display]) -> None:
    configure_threads(pipeline=True)
    models = ModelCache()
    with display() as listen:
        while (task := connection.recv()) is not None:
            connection.send(_outcome(task, listen, models))


def _outcome(task: Task, listen: Display, models: ModelCache) -> Outcome | CovosError:
    plan, folder = task
    try:
        outcome = run_job(Job(plan, folder, load=models), listen=listen)
    except CovosError as error:  # of the model: every other job would meet it
        return error
    listen.end(failed=outcome.error is not None)
    return outcome
