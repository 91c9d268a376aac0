"""The names of the room load what they need, and no more."""

import ast
import subprocess
import sys
from pathlib import Path

from covos import evaluation

LIGHT = """
import sys
from covos import evaluation
evaluation.jaccard, evaluation.boundary_f, evaluation.statistics, evaluation.flicker
heavy = {"av", "torch", "PIL", "pydantic", "jinja2", "scipy", "covos.data", "covos.media", "covos.masks"}
print(sorted(heavy & set(sys.modules)))
"""


def test_every_name_of_the_stub_is_there() -> None:
    stub = ast.parse(Path(evaluation.__file__).with_suffix(".pyi").read_text())
    names = [alias.name for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert sorted(names) == sorted(evaluation.__all__)
    assert all(hasattr(evaluation, name) for name in names)


def test_measures_bring_no_readers_of_video_or_data_sets() -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
