"""Items are handed over one at a time, and both sides end whoever waits."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator

import pytest

from children import in_child
from covos.core import handed as handing
from covos.core.handed import HandedOver

SECONDS = 20
only_posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and forks as POSIX has them")


def test_all_items_come_in_order() -> None:
    with HandedOver(range(100), name="test") as handed:
        assert list(handed) == list(range(100))
        assert next(handed, None) is None
    assert (handed.dropped, handed.at_work) == (0, False)


def test_the_next_item_is_made_once_one_is_taken() -> None:
    made = [threading.Event() for _ in range(3)]

    def items() -> Iterator[int]:
        for index, event in enumerate(made):
            event.set()
            yield index

    with HandedOver(items(), name="test") as handed:
        assert made[0].wait(SECONDS)
        assert not made[1].wait(0.1)
        assert next(handed) == 0
        assert made[1].wait(SECONDS)
        assert not made[2].wait(0.1)
        assert list(handed) == [1, 2]


def test_only_the_newest_item_waits() -> None:
    made = threading.Event()

    def items() -> Iterator[int]:
        yield from range(3)
        made.set()

    with HandedOver(items(), name="test", newest=True) as handed:
        assert made.wait(SECONDS)
        assert list(handed) == [2]
    assert handed.dropped == 2


def test_an_error_comes_after_what_was_made_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    with HandedOver(items(), name="test") as handed:
        assert next(handed) == 1
        with pytest.raises(ValueError, match="broken"):
            next(handed)


def test_the_end_does_not_wait_for_an_item_that_does_not_come() -> None:
    awaited, comes = threading.Event(), threading.Event()

    def items() -> Iterator[int]:
        yield 1
        awaited.set()
        comes.wait(SECONDS)
        yield 2

    with HandedOver(items(), name="test", patience=0.01) as handed:
        assert next(handed) == 1
        assert awaited.wait(SECONDS)
    assert handed.at_work
    comes.set()
    with pytest.raises(StopIteration):
        next(handed)


def test_who_waits_for_an_item_is_woken_by_the_end() -> None:
    comes, found = threading.Event(), []

    def items() -> Iterator[int]:
        comes.wait(SECONDS)
        yield 1

    handed = HandedOver(items(), name="test", patience=0.01)
    taker = threading.Thread(target=lambda: found.extend(handed))
    with handed:
        taker.start()
    taker.join(SECONDS)
    assert not taker.is_alive()
    comes.set()
    assert found == []


def test_who_made_an_item_that_nobody_takes_is_woken_by_the_end() -> None:
    with HandedOver(range(5), name="test") as handed:
        assert next(handed) == 0
    assert not handed.at_work


def test_who_waits_is_woken_if_the_thread_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = HandedOver(iter([1]), name="inner")
    start = threading.Thread.start

    def refused(self: threading.Thread) -> None:
        if self.name == "inner":
            raise RuntimeError("can't start new thread")
        start(self)

    monkeypatch.setattr(threading.Thread, "start", refused)
    outer = HandedOver(inner, name="outer", patience=5)
    with pytest.raises(RuntimeError, match="new thread"), outer, inner:
        pass
    assert not outer.at_work


def test_nobody_waits_for_a_thread_that_was_never_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handing, "_BEGIN", 0.0)
    with pytest.raises(RuntimeError, match="test: it was not begun; take its items in its with block"):
        next(HandedOver(range(3), name="test"))


@only_posix
def test_nobody_waits_in_a_fork_for_the_thread_of_the_process_before() -> None:
    comes = threading.Event()

    def items() -> Iterator[int]:
        comes.wait(SECONDS)
        yield 1

    def ask() -> bool:
        with pytest.raises(RuntimeError, match="its thread is gone"):
            next(handed)
        return True

    with HandedOver(items(), name="test") as handed:
        child = in_child(ask, seconds=SECONDS)
        comes.set()
    assert child.end == "answered"


@only_posix
@pytest.mark.usefixtures("ctrl_c")
def test_a_signal_that_another_thread_gets_ends_the_wait() -> None:
    comes, too_late = threading.Event(), threading.Event()

    def items() -> Iterator[int]:
        assert not comes.wait(0.3), "the other thread waits by now"
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        comes.wait(SECONDS)
        too_late.set()
        yield 1

    with pytest.raises(KeyboardInterrupt), HandedOver(items(), name="test", patience=0.01) as handed:
        next(handed)
    assert not too_late.is_set()
    comes.set()
