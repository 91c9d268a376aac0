"""A run that is killed goes on: a process of its own began it, so the networks are those of the package."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from checked_output import check_output
from covos.cli import main

AT_FULL_SIZE = True


def run(*arguments: object) -> int:
    return main(["segment", *(str(argument) for argument in arguments), "--device", "cpu", "--precision", "fp32"])


@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
def test_a_killed_run_goes_on_with_the_same_command(
    make_clip: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip, out, journal = make_clip(frames=30), tmp_path / "out", tmp_path / "out" / "journal.jsonl"
    command = [str(clip), "-o", str(out), "--device", "cpu", "--precision", "fp32"]
    process = subprocess.Popen(
        [sys.executable, "-m", "covos", "segment", *command],
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    for _ in range(6000):
        if journal.exists() and journal.read_bytes().count(b"\n") >= 10:
            break
        time.sleep(0.01)
    process.kill()
    assert process.wait(timeout=60) == -signal.SIGKILL
    assert run(clip, "-o", out) == 0
    (last,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("30 frames, ")]
    assert int(last.split()[2]) >= 8
    assert check_output(out) == []
    assert run(clip, "-o", tmp_path / "whole", "-q") == 0
    for mask in (tmp_path / "whole" / "masks").iterdir():
        assert (out / "masks" / mask.name).read_bytes() == mask.read_bytes()
