"""Odd surroundings: names of every kind, clocks that jump, a home that cannot be written, more threads."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from checked_output import check_output
from covos.cli import main
from covos.job import Job
from covos.model import Model
from covos.plan import Plan
from covos.runs.writing import Saved

NAMES = (
    "with space", "zwei ä", "狐", "fox 🦊", "line\nend", "tab\tand\x1b[31m", "quote\"'", "-dash", "percent%d", "#hash",
    "CON", "nul.tar", "a" * 251, "concat:a|b", "ends.", "star[1]", "~home", "$HOME", "back\\slash", "not\udcffutf8",
)  # fmt: skip


def segmented(model: Model, clip: Path, folder: Path) -> Saved:
    saved = Job(Plan(source=str(clip), formats=("palette", "overlay")), folder, load=lambda _: model).run()
    assert isinstance(saved, Saved)
    return saved


@pytest.mark.skipif(sys.platform == "win32", reason="names that Windows has not")
@pytest.mark.parametrize("name", NAMES)
def test_names_of_every_kind(bright: Model, clip: Path, tmp_path: Path, name: str) -> None:
    try:
        named = clip.rename(tmp_path / f"{name}.mp4")
    except OSError:
        pytest.skip("this disk has no such names")
    folder = tmp_path / name
    assert segmented(bright, named, folder).frames == 8
    assert check_output(folder) == []


@pytest.mark.parametrize("step", [-3600.0, 0.0, 1e9])
def test_a_clock_that_jumps(
    bright: Model, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    jumps = itertools.count()
    monkeypatch.setattr(time, "time", lambda: 1e9 + step * next(jumps))
    assert segmented(bright, clip, tmp_path / "out").seconds >= 0
    assert check_output(tmp_path / "out") == []


@pytest.mark.slow
def test_a_home_that_cannot_be_written(clip: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o555)
    place = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "XDG_CONFIG_HOME": str(home / "config")}
    command = [sys.executable, "-m", "covos", "segment", str(clip), "-o", str(tmp_path / "out"), "-f", "palette", "-q"]
    done = subprocess.run(
        [*command, "--end", "f2"],
        env={**os.environ, **place},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert list(home.iterdir()) == []


def segment_on(threads: int, clip: Path, out: Path) -> int:
    """Segment on so many threads, and return the exit code."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    return main(["segment", str(clip), "-o", str(out), "-f", "palette", "-q"])


@pytest.mark.usefixtures("small_networks")
@pytest.mark.skipif(sys.platform == "win32", reason="needs a fork")
def test_threads_change_no_mask(clip: Path, tmp_path: Path) -> None:
    from children import in_child  # it needs POSIX

    made = []
    for threads in (1, 2):
        out = tmp_path / str(threads)
        child = in_child(partial(segment_on, threads, clip, out), seconds=120)
        assert (child.end, child.answer) == ("answered", 0)
        made.append([path.read_bytes() for path in sorted((out / "masks").iterdir())])
    assert made[0] == made[1]
