"""A call that waits for ever holds back no signal, and no end of the program."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator

import pytest

from covos.core.interruptible import Interruptible


@pytest.fixture
def thread() -> Interruptible:
    return Interruptible(name="test", patience=0.1)


@pytest.fixture
def held() -> Iterator[threading.Event]:
    """What a call waits for; it comes after the test at the latest."""
    event = threading.Event()
    yield event
    event.set()


def interrupted_at(event: threading.Event) -> bool:
    """Send this process a Ctrl-C, and wait for the event."""
    os.kill(os.getpid(), signal.SIGINT)
    return event.wait(60)


def test_calls_are_made_in_their_order_and_answer(thread: Interruptible) -> None:
    made: list[int] = []
    assert [thread.call(lambda: len(made)), thread.call(lambda: made.append(1)), thread.call(lambda: len(made))] == [
        0,
        None,
        1,
    ]
    thread.end(lambda: made.append(2))
    thread.end(lambda: made.append(3))
    assert made == [1, 2]


def test_errors_come_where_the_call_was_made_and_end_nothing(thread: Interruptible) -> None:
    with pytest.raises(ZeroDivisionError):
        thread.call(lambda: 1 / 0)
    assert thread.call(lambda: 1) == 1
    with pytest.raises(ZeroDivisionError):
        thread.end(lambda: 1 / 0)


def test_a_call_after_the_end_is_refused(thread: Interruptible) -> None:
    thread.end(lambda: None)
    with pytest.raises(RuntimeError, match="test: its thread has ended"):
        thread.call(lambda: None)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
def test_the_end_leaves_a_call_that_goes_on_for_ever_behind(thread: Interruptible, held: threading.Event) -> None:
    last: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        thread.call(lambda: interrupted_at(held))
    thread.end(lambda: last.append(1))
    assert not last


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
def test_the_last_call_is_made_if_an_interrupted_one_ends_in_time(held: threading.Event) -> None:
    thread, made = Interruptible(name="test", patience=60), []
    with pytest.raises(KeyboardInterrupt):
        thread.call(lambda: made.append(interrupted_at(held)))
    held.set()
    thread.end(lambda: made.append(False))
    assert made == [True, False]


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
def test_a_signal_ends_the_wait_for_the_last_call(thread: Interruptible, held: threading.Event) -> None:
    with pytest.raises(KeyboardInterrupt):
        thread.end(lambda: interrupted_at(held))
