"""Processes of a batch that do not end, or were killed, hold nothing up and leave nothing behind."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from multiprocessing import Pipe
from multiprocessing.util import get_temp_dir
from pathlib import Path

import pytest

from covos.fleet import processes
from covos.fleet.processes import Numbered, Processes, _serve
from hanging import fetch

only_posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files."""
    get_temp_dir()  # that of multiprocessing itself is made elsewhere, and stays
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def hands() -> Processes:
    return Processes(device="cpu", count=1, retry=0)


@only_posix
def test_what_a_killed_worker_has_fetched_is_removed(temporary: Path) -> None:
    made = hands()
    killed, dismissed = (Numbered(number, fetch) for number in (0, 1))
    for hand in (killed, dismissed):
        assert hand.receive() == "fetched"
    assert len([*temporary.glob("*/clip.mp4")]) == 2
    killed.signal(signal.SIGKILL)
    assert made.stop(killed) is None
    assert len([*temporary.glob("*/clip.mp4")]) == 1
    dismissed.signal(signal.SIGKILL)
    made.dismiss([dismissed])
    assert not [*temporary.glob("covos-*")]


@only_posix
def test_a_worker_that_not_even_a_kill_ends_is_left_behind(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "STOPPING", 0.1)
    hand, made = Numbered(0, fetch), hands()
    assert hand.receive() == "fetched"
    pid = hand._process.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        with monkeypatch.context() as stuck:  # so is one that waits for a disk
            stuck.setattr(hand._process, "kill", lambda: None)
            assert made.stop(hand) is None
        assert hand._process.is_alive()
        assert made._free == [0, 0], "another takes its place"
    finally:
        hand._process.kill()
        hand.join()


def test_a_worker_keeps_its_temporary_files_in_its_own_folder(temporary: Path) -> None:
    own = temporary / "own"
    ours, theirs = Pipe()
    ours.send(None)
    _serve(theirs, "cpu", 1, str(own))
    assert tempfile.gettempdir() == str(own)
