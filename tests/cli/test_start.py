"""`covos --help` answers at once, because nothing heavy is imported before a verb runs."""

from __future__ import annotations

import subprocess
import sys
from itertools import takewhile
from pathlib import Path

import pytest

_SURFACE = Path(__file__).with_name("surface.txt")
VERBS = [
    " ".join(takewhile(lambda word: word[0] not in "-<", line.split()[1:]))
    for line in _SURFACE.read_text().splitlines()
]

_HELP = """
import sys
from covos.cli import main
code = main(sys.argv[1:])
print("heavy:", *sorted({"av", "cv2", "numpy", "scipy", "tensorboard", "torch"} & set(sys.modules)))
sys.exit(code)
"""


@pytest.mark.parametrize("verb", VERBS)
def test_help_imports_nothing_heavy(verb: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _HELP, *verb.split(), "--help"], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "Usage: covos" in done.stdout
    assert done.stdout.splitlines()[-1] == "heavy:"


def test_the_package_is_light_too() -> None:
    code = "import sys, covos; print(*sorted({'av', 'cv2', 'numpy', 'rich', 'torch', 'typer'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
