"""Have calls that may wait for ever done by a thread, so that the main thread still answers signals."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeAlias, TypeVar

from covos.core.signals import GLANCE

ResultT = TypeVar("ResultT")
_Call: TypeAlias = tuple[Callable[[], Any], Future[Any]]


class Interruptible:
    """Makes calls on a thread of its own, one after another in their order, while who asked waits.

    Python handles signals on the main thread, between two of its own instructions. So a library that waits for a pipe,
    and goes on waiting when a signal comes, would hold them back. Here the signal is raised from `call`.

    The thread is no reason for the program to stay: one that still waits at the program's end is left behind.

    Args:
        name: Name of the thread.
        patience: Seconds that `end` waits for its call after `call` was interrupted, together with those before it.
    """

    def __init__(self, *, name: str, patience: float) -> None:
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._limit: float | None = None
        self._patience = patience
        self._ended = False
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def call(self, work: Callable[[], ResultT]) -> ResultT:
        """Return what ``work`` returns; what is asked for later waits for it, also if this is interrupted.

        Raises:
            BaseException: The error of ``work``, or that of a signal.
            RuntimeError: There is no thread for it any more: after `end`, or in a fork.
        """
        if self._ended or not self._thread.is_alive():  # nobody would ever answer
            raise RuntimeError(f"{self._thread.name}: its thread has ended; begin another")
        done: Future[ResultT] = Future()
        try:
            self._calls.put((work, done))
            while not wait([done], timeout=GLANCE).done:
                pass
        except BaseException:
            self._limit = self._patience
            raise
        try:
            return done.result()
        finally:
            del done  # its error holds this frame, by its traceback, and would be held by it

    def end(self, work: Callable[[], object]) -> None:
        """Make the last call, and end the thread; a second time this does nothing.

        After an interruption it waits no longer than ``patience``, and leaves the thread to what it is at.

        Raises:
            BaseException: The error of ``work``, or that of a signal.
        """
        if self._ended:
            return
        self._ended = True
        done: Future[object] = Future()
        self._calls.put((work, done))
        self._calls.put(None)
        try:
            self._join(self._limit)
        except BaseException:
            self._join(self._patience)
            raise
        if not done.done():
            return
        try:
            done.result()
        finally:
            del done

    def _join(self, limit: float | None) -> None:
        last = None if limit is None else time.monotonic() + limit
        while self._thread.is_alive() and (last is None or time.monotonic() < last):
            self._thread.join(GLANCE)

    def _run(self) -> None:
        for work, done in iter(self._calls.get, None):
            try:
                done.set_result(work())
            except BaseException as error:  # it is raised where the call is waited for
                done.set_exception(error)
            del work, done  # they may be large, and the next one may be long in coming
