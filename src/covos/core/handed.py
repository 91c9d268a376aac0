"""Hand items over from the thread that makes them to the one that takes them, where the next may never come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from threading import Condition, Thread
from time import monotonic
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

from covos.core.signals import GLANCE

T = TypeVar("T")

_NONE: Final[Any] = object()
_BEGIN: Final = 60.0
"""Seconds in which the thread has to begin, for who asks before it does."""


class HandedOver(Generic[T]):
    """Makes items on a thread of its own, and hands them over one at a time; a context manager, and an iterator.

    `covos.core.ahead.prefetch` waits, at its end, for what its thread is at. This lets a consumer end while an item is
    still awaited, of a camera or a pipe: leaving the context ends both sides.

    Args:
        items: What is made; iterated once, by the thread.
        name: Name of the thread.
        newest: If true, an item takes the place of one that nobody took. Else the next one is made once it is taken.
        patience: Seconds that the end waits for the thread. None waits as long as it takes, for one that computes would
            bring the interpreter down at its end.

    Attributes:
        dropped: Number of items so far whose place was taken by a newer one.
    """

    def __init__(self, items: Iterable[T], *, name: str, newest: bool = False, patience: float | None = None) -> None:
        self._items, self._newest, self._patience = items, newest, patience
        self._changed = Condition()
        self._item: T = _NONE
        self._error: BaseException | None = None
        self._ended = False
        self._begun = False
        self._thread = Thread(target=self._make, name=name, daemon=True)
        self.dropped = 0

    def __enter__(self) -> Self:
        try:
            self._thread.start()
        except BaseException:
            self._end(None)  # who waits already would wait for ever
            raise
        self._begun = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._item, self._error, self._ended = _NONE, None, True
            self._changed.notify_all()
        self._thread.join(self._patience)

    @property
    def at_work(self) -> bool:
        """True as long as the thread runs, be it that it outlasts the end."""
        return self._thread.is_alive()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        """Wait for an item, as long as the thread is at work: of a camera or a pipe, the next may never come.

        Raises:
            BaseException: The error of the items, after those that were made before.
            RuntimeError: There is no thread that makes them: the context was not entered, or the process is a fork.
        """
        asked = monotonic()
        with self._changed:
            while self._item is _NONE and not self._ended:
                self._refuse_alone(asked)
                self._changed.wait(GLANCE)
            item, self._item = self._item, _NONE
            self._changed.notify_all()
            if item is not _NONE:
                return item
            error, self._error = self._error, None
        try:
            raise error or StopIteration
        finally:
            del error  # it holds this frame, by its traceback, and would be held by it

    def _refuse_alone(self, asked: float) -> None:
        """Refuse to wait for a thread that is gone, or does not begin: it ends the wait itself in all other cases."""
        if not self._begun:  # a thread that just starts has a number, and is not alive yet
            if monotonic() - asked > _BEGIN:
                raise RuntimeError(f"{self._thread.name}: it was not begun; take its items in its with block")
        elif not self._thread.is_alive():
            raise RuntimeError(f"{self._thread.name}: its thread is gone; a fork has none: begin it in that process")

    def _make(self) -> None:
        try:
            for item in self._items:
                if not self._put(item):
                    break
            self._end(None)
        except BaseException as error:  # it is raised where the items are taken
            self._end(error)

    def _put(self, item: T) -> bool:
        """Put an item there, and wait until it may be followed; false after the end."""
        with self._changed:
            if not self._ended:
                self.dropped += self._item is not _NONE
                self._item = item
                self._changed.notify_all()
            while self._item is item and not self._newest and not self._ended:
                self._changed.wait()
            return not self._ended

    def _end(self, error: BaseException | None) -> None:
        with self._changed:
            if not self._ended:
                self._ended, self._error = True, error
                self._changed.notify_all()
