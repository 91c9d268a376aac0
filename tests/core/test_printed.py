"""What a library prints goes to standard error, and what other threads print meanwhile to standard output."""

from __future__ import annotations

import sys
import threading

import pytest

from covos.core.printed import printing_aside


def test_a_block_prints_elsewhere_and_what_is_around_it_does_not(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout
    print("before")
    with printing_aside():
        print("inside")
        with printing_aside():
            print("deeper")
        print("inside again")
    print("after")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("before\nafter\n", "inside\ndeeper\ninside again\n")
    assert sys.stdout is before


def test_an_error_ends_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyError), printing_aside():
        raise KeyError
    print("after")
    assert capsys.readouterr().out == "after\n"


def test_other_threads_print_as_ever_in_whatever_order_the_blocks_end(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout
    inside, end = threading.Event(), threading.Event()

    def other() -> None:
        with printing_aside():
            print("another library")
            inside.set()
            assert end.wait(30)
            print("still there")

    thread = threading.Thread(target=other)
    with printing_aside():
        thread.start()
        assert inside.wait(30)
    print("mine")  # the first block has ended, and the second has not
    end.set()
    thread.join()
    said = capsys.readouterr()
    assert (said.out, said.err) == ("mine\n", "another library\nstill there\n")
    assert sys.stdout is before


def test_a_program_without_streams_prints_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    other = threading.Thread(target=print, args=("of another thread",))
    with printing_aside():
        print("of a library")
        other.start()
        other.join()
    assert sys.stdout is None


def test_a_stream_that_somebody_puts_in_its_place_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    with printing_aside():
        sys.stdout = sys.stderr
    assert sys.stdout is sys.stderr
