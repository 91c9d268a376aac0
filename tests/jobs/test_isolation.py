"""A job that ends its process costs one input; the others of the batch are done."""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest

from checked_output import check_output
from covos.cli import main
from covos.cli.progress import JobDisplay
from covos.core.errors import EnvironmentProblem, SourceError
from covos.isolation import run_isolated
from covos.job import Job
from covos.jobs import ModelCache, plan_folders, run_jobs
from covos.plan import Plan
from covos.task import Find
from dying import Dying, Stopping

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")


@pytest.fixture
def inputs(make_clip) -> list[str]:
    """Three alike videos; the second is called ``bad.mp4``."""
    return [str(make_clip(name, frames=2)) for name in ("first.mp4", "bad.mp4", "last.mp4")]


def tasks(inputs: list[str], output: Path) -> list:
    folders = plan_folders(inputs, output=output, overwrite=False)
    return [(Plan(source=name, task=Find(), formats=("palette",)), folder) for name, folder in folders.items()]


@posix
@pytest.mark.slow
@pytest.mark.parametrize(
    ("way", "kind", "said"),
    [
        ("abort", SourceError, "SIGABRT"),
        ("kill", EnvironmentProblem, "memory ran out"),
    ],
)
def test_a_dying_process_costs_one_input(inputs: list[str], tmp_path: Path, way: str, kind: type, said: str) -> None:
    outcomes = list(run_isolated(tasks(inputs, tmp_path / "out"), display=partial(Dying, way)))
    assert [Path(outcome.name).stem for outcome in outcomes] == ["first", "bad", "last"]
    assert isinstance(outcomes[1].error, kind)
    assert said in outcomes[1].error.why
    for name in ("first", "last"):
        assert check_output(tmp_path / "out" / name) == []
    if way == "kill":
        return
    # The same command goes on with the one that failed.
    again = list(run_isolated(tasks(inputs, tmp_path / "out"), display=partial(JobDisplay, quiet=True)))
    assert [outcome.error for outcome in again] == [None] * 3
    assert check_output(tmp_path / "out" / "bad") == []


@pytest.mark.parametrize(("way", "code", "said"), [("raise", 1, "ZeroDivisionError: a bug"), ("memory", 5, "memory")])
def test_any_exception_costs_one_input(inputs: list[str], tmp_path: Path, way: str, code: int, said: str) -> None:
    models = ModelCache()
    jobs = [Job(plan, folder, load=models) for plan, folder in tasks(inputs, tmp_path / "out")]
    outcomes = list(run_jobs(jobs, listen=Dying(way)))
    assert [outcome.error is None for outcome in outcomes] == [True, False, True]
    error = outcomes[1].error
    assert error is not None
    assert (error.exit_code, said in error.what) == (code, True)


@posix
@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, 130),
        pytest.param(signal.SIGTERM, 143, marks=pytest.mark.thorough),  # as one input has it, in `test_segment`
    ],
)
def test_a_signal_stops_the_batch_and_the_same_command_goes_on(
    make_clip,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    number: int,
    code: int,
) -> None:
    names = [str(make_clip(name, frames=frames)) for name, frames in (("a.mp4", 8), ("b.mp4", 2))]
    command = ["segment", *names, "-o", str(tmp_path / "out"), "-f", "palette"]
    with monkeypatch.context() as patch:
        verb = import_module("covos.cli.segment")  # the function has the module's name, too
        patch.setattr(verb, "JobDisplay", partial(Stopping, pid=os.getpid(), number=number))
        assert main(command) == code
    assert not (tmp_path / "out" / "b").exists()
    assert main(command) == 0
    assert "of them by an earlier run" in capfd.readouterr().err
    for name in ("a", "b"):
        assert check_output(tmp_path / "out" / name) == []
