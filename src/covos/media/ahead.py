"""Decode ahead in a background thread, never further than asked."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Generic, TypeVar

from covos.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _End(Generic[T]):
    """The last thing in the queue: how the producer ended."""

    error: BaseException | None


def prefetch(frames: Iterable[T], *, depth: int = 8) -> Iterator[T]:
    """Iterate ``frames`` in a background thread, a bounded number ahead of the consumer.

    Decoding and colour conversion release the interpreter lock, so they overlap with the consumer's work.
    The thread starts with the first item asked for and has ended when the iterator is exhausted, closed or
    has raised. A generator given as ``frames`` is closed in the thread that ran it.

    Args:
        frames: What to iterate; from then on it belongs to the background thread.
        depth: Most items that are ready and not yet consumed, at least 1.

    Yields:
        The items, in order.

    Raises:
        UsageError: ``depth`` is below 1.
        BaseException: Whatever ``frames`` raises, after the items that came before it.
    """
    if depth < 1:
        raise UsageError(f"prefetch depth {depth} is too small", why="at least one item must fit", fix="use 1 or more")
    return _prefetched(frames, depth)


def _prefetched(frames: Iterable[T], depth: int) -> Iterator[T]:
    ready: SimpleQueue[T | _End[T]] = SimpleQueue()
    room = threading.Semaphore(depth)
    stop = threading.Event()
    thread = threading.Thread(target=_produce, args=(frames, ready, room, stop), name="covos-prefetch", daemon=True)
    thread.start()
    try:
        while True:
            item = ready.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            room.release()
            yield item
    finally:
        stop.set()
        room.release()  # wakes a producer that waits for room
        thread.join()


def _produce(
    frames: Iterable[T], ready: SimpleQueue[T | _End[T]], room: threading.Semaphore, stop: threading.Event
) -> None:
    error: BaseException | None = None
    try:
        source = iter(frames)
        try:
            while True:
                # Room is taken before the item is made: a decoded 4K frame in hand counts as waiting too.
                room.acquire()
                if stop.is_set():
                    break
                try:
                    item = next(source)
                except StopIteration:
                    break
                ready.put(item)
        finally:
            close = getattr(source, "close", None)
            if close is not None:
                close()
    except BaseException as raised:  # it travels to the consumer, whatever it is
        error = raised
    ready.put(_End(error))
