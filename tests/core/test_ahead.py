from __future__ import annotations

import concurrent.futures.thread
import gc
import itertools
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from covos.core.ahead import computed, prefetch


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


@pytest.mark.parametrize(("calls", "depth"), [(1, 1), (2, 2), (3, 7)])
def test_results_come_in_the_order_of_the_items(calls: int, depth: int) -> None:
    def slowly(item: int) -> int:
        time.sleep(0.004 * (item % 3))
        return item * item

    assert list(computed(range(40), slowly, calls=calls, depth=depth)) == [item * item for item in range(40)]
    assert workers() == 0


def test_so_many_calls_are_made_at_a_time_and_no_more() -> None:
    together, most = threading.Barrier(2, timeout=10), [0]
    lock = threading.Lock()

    def meet(item: int) -> int:
        with lock:
            most[0] += 1
            assert most[0] <= 2
        together.wait()  # breaks if the two are not there at once
        with lock:
            most[0] -= 1
        return item

    assert list(computed(range(8), meet, calls=2)) == list(range(8))


def test_items_are_taken_by_one_thread_at_a_time() -> None:
    busy = threading.Lock()

    def alone() -> Iterator[int]:
        for item in range(30):
            assert busy.acquire(blocking=False)
            time.sleep(0.001)
            busy.release()
            yield item

    assert list(computed(alone(), lambda item: item, calls=4)) == list(range(30))


@pytest.mark.parametrize("calls", [1, 3])
def test_what_work_raises_comes_in_its_place(calls: int) -> None:
    source = Counted()

    def fail(item: int) -> int:
        if item in (4, 5):
            time.sleep(0.02 * (5 - item))  # the later one fails first
            raise ValueError(f"item {item}")
        return item

    ahead = computed(source, fail, calls=calls)
    assert [next(ahead) for _ in range(4)] == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="item 4"):
        next(ahead)
    assert workers() == 0
    assert source.closed_in is not None


def test_no_result_that_was_given_is_held() -> None:
    class Large:
        pass

    made: list[weakref.ref[Large]] = []

    def make(_: int) -> Large:
        large = Large()
        made.append(weakref.ref(large))
        return large

    ahead = computed(itertools.count(), make, calls=2)
    for _ in range(10):
        next(ahead)
    assert settled(lambda: sum(each() is not None for each in made) <= 4)
    ahead.close()


def test_a_program_that_leaves_off_in_the_middle_ends_well() -> None:
    # At its end the interpreter kills the threads that compute, and libraries in C++ abort.
    script = """
import itertools, torch
from covos.core.ahead import computed, prefetch

def work(item):
    return torch.conv2d(torch.randn(1, 16, 300, 300), torch.randn(64, 16, 5, 5)).sum()

left = computed(prefetch(itertools.count(), depth=2), work, calls=2)
next(left)
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_system_that_has_no_more_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    source, start, started = Counted(), threading.Thread.start, []

    def first_alone(thread: threading.Thread) -> None:
        if started:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", first_alone)
    with pytest.raises(RuntimeError, match="can't start"):
        next(computed(source, lambda item: item, calls=2))
    monkeypatch.undo()
    assert settled(lambda: workers() == 0)


@pytest.mark.parametrize("asked", [0, 1, 2])
def test_an_error_holds_nothing_once_the_iterator_is_closed(asked: int) -> None:
    class Held:
        pass

    held: list[weakref.ref[Held]] = []

    def failing() -> Iterator[int]:
        open_file = Held()
        held.append(weakref.ref(open_file))
        yield 0
        raise ValueError("from the source")

    gc.collect()
    gc.disable()
    try:
        ahead = prefetch(failing(), depth=3)
        for _ in range(asked):
            with suppress(ValueError):
                next(ahead)
        assert settled(lambda: not asked or workers() == 0)  # the error is made, whoever asks for it
        ahead.close()
        del ahead
        assert [each() for each in held] == [None] * len(held)
        assert len(held) == min(asked, 1)
    finally:
        gc.enable()
