"""What a set-up fetches is said, with its size, and counted by the benchmark of the first minutes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from loaded import ROOT, load_module

SAID = """\
Collecting large
  Downloading large-1.2-py3-none-any.whl (55.4 MB)
Progress 0 of 55400000
Progress 55400000 of 55400000
  Downloading small-2-py3-none-any.whl.metadata (600 kB)
  Using cached known-3-py3-none-any.whl (12.0 MB)
"""


def install(folder: Path, program: str) -> subprocess.CompletedProcess[str]:
    """Set up by a pip that is this program."""
    (folder / "pip").mkdir()
    (folder / "pip" / "__init__.py").touch()
    (folder / "pip" / "__main__.py").write_text(program)
    command = [sys.executable, str(ROOT / ".ci" / "install.py"), "the rest", "--no-deps", "large"]
    place = os.environ | {"PYTHONPATH": str(folder)}
    return subprocess.run(command, env=place, capture_output=True, text=True, check=False)


def test_large_files_and_the_sum_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = install(tmp_path, f"print({SAID!r}, end='')")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "installing the rest",
        "  large-1.2, 55 MB",
        "fetched 56 MB in 2 files, and 12 MB were in pip's cache",
    ]
    monkeypatch.syspath_prepend(ROOT / "benchmarks")  # they import one another
    newcomer = load_module(ROOT / "benchmarks" / "newcomer.py")
    assert newcomer._fetched(done.stdout + "fetched 3 MB in 1 files\n") == 71


def test_a_failure_is_told_with_all_that_pip_said(tmp_path: Path) -> None:
    done = install(tmp_path, "import sys; print('Collecting large'); sys.exit('ERROR: no such release')")
    assert done.returncode == 1
    assert "Collecting large" in done.stderr
    assert "ERROR: no such release" in done.stderr
    assert "fetched" not in done.stdout


@pytest.mark.parametrize("words", [[], ["the rest"]])
def test_without_options_there_is_nothing_to_install(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / ".ci" / "install.py"), *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("usage: ")
