"""Fresh processes do not run the user's program again, whatever it lacks."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from pathlib import Path

import pytest

from covos.core import process
from covos.core.errors import EnvironmentProblem
from covos.core.fresh import SPAWN
from covos.core.process import Worker

_WORKER = """
from covos.core.process import Worker
print("the program runs", flush=True)
worker = Worker(print, "answered")
worker.join()
print(worker._process.exitcode, worker.never_began)
"""
_LOADER = """
import torch
from torch.utils.data import TensorDataset
from covos.training.loading import iterate_batches
print("the program runs", flush=True)
found = [each.batch[0].item() for each in iterate_batches(TensorDataset(torch.arange(4)), start=0, stop=4, workers=1)]
print(found)
"""


def _run(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    file = folder / "program.py"
    file.write_text(script, encoding="utf-8")
    return subprocess.run([sys.executable, file], capture_output=True, text=True, timeout=300, check=False)


def test_a_worker_does_not_run_a_program_without_a_guard(tmp_path: Path) -> None:
    done = _run(_WORKER, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("the program runs") == 1
    assert done.stdout.splitlines()[-1] == "0 False"
    assert "bootstrapping" not in done.stderr


def test_loaders_do_not_run_a_program_without_a_guard(tmp_path: Path) -> None:
    done = _run(_LOADER, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("the program runs") == 1
    assert done.stdout.splitlines()[-1] == "[0, 1, 2, 3]"


def test_the_users_own_processes_still_get_the_program() -> None:
    before = multiprocessing.spawn.get_preparation_data
    SPAWN.Process(target=print).start()
    assert multiprocessing.spawn.get_preparation_data is before


class _Unreadable:
    """Ends the process that unpickles it."""

    def __reduce__(self) -> tuple[object, ...]:
        return sys.exit, (1,)


def test_a_worker_that_never_began_is_no_fault_of_the_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "CONTEXT", SPAWN)
    worker = Worker(print, _Unreadable())
    worker.join()
    assert worker.never_began
    cause = worker.cause_of_death("clip.mp4")
    assert isinstance(cause, EnvironmentProblem)
    assert "clip.mp4" not in str(cause)
    worker.close()
