"""The calls in the Python blocks of the documents have the types that the package says: a strict mypy takes them."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
from mypy import api

from loaded import ROOT
from test_blocks import blocks

PAGES = ["README.md", *(f"docs/{name}.md" for name in ("start", "follow", "jobs", "trim", "for-engineers"))]
CALLS = """
point = covos.PointPrompt(frame=0, points=[(320, 200), (90, 60, 0)])
table = covos.PointPrompt(points=({"x": 320, "y": 200, "positive": False},), box=(0, 0, 5, 5))
region = covos.RegionPrompt(box=(0, 0, 5, 5), role="within")
mask = covos.MaskPrompt(file="00040.png", frame=40)
edges = covos.Edges(grow=2, feather="0.5%", fill_holes=True)
part = covos.Range(start=1, end="f60")
plan = covos.Plan(source="clip.mp4", task=covos.Follow(prompts=(point, mask)), range=range(0, 300), frame_rate=29.97)
other = covos.Plan(source="clip.mp4", formats=["palette"], label="car", matte=True, edges=edges)
"""
OF_CALLS = re.compile(r"\[(arg-type|call-arg|call-overload|list-item|dict-item)\]$")


@pytest.mark.slow
def test_a_strict_mypy_takes_the_calls(tmp_path: Path) -> None:
    files = []
    for page in PAGES:
        for number, block in enumerate(blocks(ROOT / page)):
            file = tmp_path / f"{Path(page).stem.replace('-', '_')}_{number}.py"
            # In a function, for some blocks leave names to the reader.
            file.write_text("import covos\n\n\ndef block() -> None:\n" + textwrap.indent(block, "    "))
            files.append(str(file))
    calls, wrong = tmp_path / "calls.py", tmp_path / "wrong.py"
    calls.write_text("import covos\n" + CALLS)
    wrong.write_text("import covos\n\ncovos.Edges(grow=None)\n")
    options = ["--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(ROOT / ".mypy_cache")]
    said, _, _ = api.run([*options, *files, str(calls), str(wrong)])
    found = [line for line in said.splitlines() if OF_CALLS.search(line)]
    assert [line for line in found if "wrong.py" not in line] == []
    assert [line for line in said.splitlines() if line.startswith(str(calls))] == []
    assert found, "mypy sees the types"
