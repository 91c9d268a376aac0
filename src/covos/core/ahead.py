"""Work ahead of who asks for it, on threads of its own."""

from __future__ import annotations

import atexit
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from queue import SimpleQueue
from threading import Lock, Thread, current_thread
from typing import Any, Final, Generic, TypeAlias, TypeVar
from weakref import WeakSet

T = TypeVar("T")
ResultT = TypeVar("ResultT")

Place: TypeAlias = SimpleQueue[tuple[Any, BaseException | None]]
"""The place of one result, in the order of the items: it gets the result, or an error."""

END: Final[Any] = object()
PATIENCE: Final = 10.0
"""Seconds that a program waits at its end for what is still computed. What waits for a network or a pipe may take
longer, and does no harm."""


def prefetch(items: Iterable[T], *, depth: int = 8) -> Generator[T, None, None]:
    """Iterate ``items`` in a background thread, a bounded number ahead of the consumer.

    Decoding, networks and OpenCV release the interpreter lock, so they overlap with the consumer's work; see
    `computed`.
    """
    return computed(items, _as_it_is, depth=depth)


def _as_it_is(item: T) -> T:
    return item


def computed(
    items: Iterable[T], work: Callable[[T], ResultT], *, calls: int = 1, depth: int = 1
) -> Generator[ResultT, None, None]:
    """Give what ``work`` makes of each item, in their order, computed ahead of the consumer by background threads.

    The threads take the items in turn, one at a time, so that ``items`` need not be safe for threads; ``work`` must be
    if there are several. They start with the first result asked for, and have ended when the iterator is exhausted,
    closed or has raised. A generator given as ``items`` is closed in a thread that ran it.

    Args:
        items: What there is to work on.
        work: Is called for each.
        calls: Threads, and so calls of ``work`` at a time; 0 works when it is asked, on the thread of the consumer.
        depth: Results that are computed ahead at most; no fewer than ``calls``.

    Raises:
        BaseException: The first error, in the order of the items, of ``items`` or of ``work``.
    """
    if calls == 0:
        yield from map(work, items)
        return
    line = _Line(items, work, calls=calls)
    try:
        line.start()
        for _ in range(max(depth, calls)):
            line.wanted.put(True)
        while True:
            result, error = line.places.get().get()
            if error is not None:
                try:
                    raise error
                finally:
                    del error  # it holds this frame, by its traceback, and would be held by it
            if result is END:
                return
            line.wanted.put(True)
            yield result
    finally:
        line.stop()
        if current_thread() not in line.threads:  # one of which may collect the garbage
            for thread in line.threads:
                thread.join()
            # An error among what was not asked for holds, by its traceback, the files of what ran, and this queue.
            while not line.places.empty():
                line.places.get_nowait()


class _Line(Generic[T, ResultT]):
    """The state that the threads of `computed` and its consumer share.

    Plain queues, for a garbage collection may end it, in the midst of anything. An executor's `submit` holds a lock of
    all executors: if the garbage is collected there, another `submit` would wait for itself.
    """

    def __init__(self, items: Iterable[T], work: Callable[[T], ResultT], *, calls: int) -> None:
        self.wanted: SimpleQueue[bool] = SimpleQueue()
        self.places: SimpleQueue[Place] = SimpleQueue()
        self.ended = False
        self._items, self._work = items, work
        self._source: Iterator[T] | None = None
        self._turn = Lock()
        self._calls = self._at_work = calls
        self.threads: list[Thread] = []

    def start(self) -> None:
        """Start the threads."""
        _RUNNING.add(self)
        for _ in range(self._calls):
            thread = Thread(target=self.run, name="covos-prefetch", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the system has no more; those that run wait for what is wanted
                self._at_work -= self._calls - len(self.threads)
                raise
            self.threads.append(thread)

    def stop(self) -> None:
        """Let each thread end with what it is at."""
        self.ended = True
        for _ in self.threads:
            self.wanted.put(False)

    def run(self) -> None:
        """Work on items until there are no more, or no more are wanted."""
        while (taken := self._take()) is not None:
            item, place = taken
            try:
                place.put((self._work(item), None))
            except BaseException as error:
                self._end(place, error)
            del item, place, taken  # they may be large, and the next one may be long in coming
        with self._turn:
            self._at_work -= 1
            close = getattr(self._source, "close", None)
            if self._at_work == 0 and close is not None:
                with suppress(Exception):  # nobody waits for it
                    close()
            if self._at_work == 0:  # if the program ends, a thread of another line may wait for more
                self._end(self._place(), None)

    def _place(self) -> Place:
        place: Place = SimpleQueue()
        self.places.put(place)
        return place

    def _take(self) -> tuple[T, Place] | None:
        """Take the next item, and a place for its result."""
        with self._turn:
            if self.ended or not self.wanted.get() or self.ended:
                return None
            place = self._place()
            try:
                if self._source is None:
                    self._source = iter(self._items)
                item = next(self._source, END)
            except BaseException as error:
                self._end(place, error)
                del place  # it holds the error, which holds this frame by its traceback
                return None
            if item is END:
                self._end(place, None)
                return None
            return item, place

    def _end(self, place: Place, error: BaseException | None) -> None:
        self.ended = True
        place.put((END, error))


_RUNNING: WeakSet[_Line[Any, Any]] = WeakSet()


@atexit.register
def _stop_all() -> None:
    """End what was left half read, before the interpreter ends: a thread that computes would bring it down."""
    running = list(_RUNNING)
    for line in running:
        line.stop()
    last = time.monotonic() + PATIENCE
    for line in running:
        for thread in line.threads:
            thread.join(max(0.0, last - time.monotonic()))
