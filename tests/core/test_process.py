"""Processes that answer messages: how they begin and end."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from multiprocessing.connection import Connection

import pytest

from covos.core import process
from covos.core.process import Worker
from covos.core.signals import SIGINT_EXIT


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_ctrl_c_while_a_process_begins_ends_it_without_a_word(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(process, "CONTEXT", multiprocessing.get_context("spawn"))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    worker = Worker(bool)  # type: ignore[arg-type]  # would end by itself, with 0
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
    pid = worker._process.pid
    assert pid is not None
    os.kill(pid, signal.SIGINT)  # Python itself has hardly begun
    worker.join()
    assert worker._process.exitcode == SIGINT_EXIT
    assert worker.was_stopped
    assert capfd.readouterr().err == ""
    worker.close()


def test_a_process_that_begins_when_nobody_listens_any_more_ends_without_a_word(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(process, "CONTEXT", multiprocessing.get_context("spawn"))
    worker = Worker(Connection.recv)  # type: ignore[arg-type]
    worker._began.close()
    worker.connection.close()
    worker.join()
    assert worker._process.exitcode == 0
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_a_process_that_not_even_a_kill_ends_is_waited_for_no_longer_than_one_has_patience(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker = Worker(Connection.recv)  # type: ignore[arg-type]  # ends at the first message
    pid = worker._process.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        with monkeypatch.context() as stuck:  # so is one that waits for a disk
            stuck.setattr(worker._process, "kill", lambda: None)
            began = time.monotonic()
            worker.hang_up(patience=0.1)
            assert time.monotonic() - began < process.PATIENCE / 4
        assert worker._process.is_alive()
    finally:
        worker._process.kill()
        worker.join()
