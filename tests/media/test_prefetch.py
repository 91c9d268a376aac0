from __future__ import annotations

import concurrent.futures.thread
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from covos.media.opening import open_source
from covos.media.source import prefetch


def workers() -> int:
    return sum(thread.name.startswith("covos-prefetch") for thread in threading.enumerate())


def settled(condition: Callable[[], bool]) -> bool:
    """Whether the condition comes true within a generous time."""
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.001)
    return condition()


class Counted:
    """An endless generator that knows how many items it has made and where it was closed."""

    def __init__(self) -> None:
        self.made = 0
        self.closed_in: str | None = None

    def __iter__(self) -> Iterator[int]:
        try:
            for item in itertools.count():
                self.made += 1
                yield item
        finally:
            self.closed_in = threading.current_thread().name


@pytest.mark.parametrize("depth", [1, 2, 8, 100])
def test_all_items_come_in_order(depth: int) -> None:
    assert list(prefetch(range(50), depth=depth)) == list(range(50))
    assert list(prefetch([], depth=depth)) == []
    assert workers() == 0


@pytest.mark.parametrize("depth", [1, 3, 8])
def test_never_more_than_depth_items_wait(depth: int) -> None:
    source = Counted()
    ahead = prefetch(source, depth=depth)
    for consumed in range(1, 6):
        assert next(ahead) == consumed - 1
        assert settled(lambda: source.made - consumed >= depth)  # noqa: B023
        time.sleep(0.01)  # time enough to overstep
        assert source.made - consumed == depth
    ahead.close()


def test_nothing_runs_before_the_first_item_is_asked_for() -> None:
    source = Counted()
    ahead = prefetch(source)
    assert (source.made, workers()) == (0, 0)
    ahead.close()
    assert source.made == 0


def test_closing_stops_the_thread_and_closes_the_source_in_it() -> None:
    source = Counted()
    ahead = prefetch(source, depth=4)
    next(ahead)
    ahead.close()
    assert workers() == 0
    assert source.closed_in is not None
    assert source.closed_in.startswith("covos-prefetch")


def test_an_abandoned_iterator_leaves_no_thread() -> None:
    ahead = prefetch(Counted())
    next(ahead)
    del ahead
    assert settled(lambda: workers() == 0)


def test_an_iterator_can_be_collected_while_another_one_begins() -> None:
    # A garbage collection inside an executor's `submit`, which holds this lock, may end an abandoned iterator.
    ahead = prefetch(Counted())
    next(ahead)
    closing = threading.Thread(target=ahead.close, daemon=True)
    with concurrent.futures.thread._global_shutdown_lock:
        closing.start()
        closing.join(10)
        assert not closing.is_alive()


def test_a_consumer_that_raises_leaves_no_thread() -> None:
    def consume() -> None:
        for item in prefetch(Counted(), depth=2):
            if item == 3:
                raise ValueError("consumer")

    with pytest.raises(ValueError, match="consumer") as caught:
        consume()
    del caught
    assert settled(lambda: workers() == 0)


class Boom(BaseException):
    pass


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, Boom])
def test_what_the_source_raises_reaches_the_consumer_after_the_items_before(kind: type[BaseException]) -> None:
    def failing() -> Iterator[int]:
        yield from (1, 2, 3)
        raise kind("from the source")

    ahead = prefetch(failing(), depth=8)
    assert [next(ahead) for _ in range(3)] == [1, 2, 3]
    with pytest.raises(kind, match="from the source"):
        next(ahead)
    assert workers() == 0


def test_an_error_on_starting_reaches_the_consumer() -> None:
    class Unready:
        def __iter__(self) -> Iterator[int]:
            raise OSError("not ready")

    with pytest.raises(OSError, match="not ready"):
        next(prefetch(Unready()))


def test_a_video_is_the_same_through_prefetch(film: Callable[..., Path]) -> None:
    with open_source(film(count=12)) as source:
        plain = [(f.pts, f.image.tobytes()) for f in source]
        assert [(f.pts, f.image.tobytes()) for f in prefetch(source, depth=2)] == plain
        half = prefetch(source, depth=2)
        next(half)
        half.close()
        assert source.health.complete is False
