"""The short programs in examples/ run, and write what they say."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from loaded import ROOT

EXAMPLES = ROOT / "examples"
PART = ["--start", "18", "--end", "26"]
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("small_networks"), pytest.mark.filterwarnings("ignore:warning")]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def run(name: str, *words: str) -> str:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [name, *PART, *words])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return run


def test_composite(run: Callable[..., str], tmp_path: Path) -> None:
    said = run("composite.py")
    written = [Path(line) for line in said.splitlines()]
    assert {path.name for path in written} == {"background.mp4", "overlay.mp4"}
    assert all((tmp_path / path).stat().st_size > 1000 for path in written)


def test_clicks(run: Callable[..., str], tmp_path: Path) -> None:
    said = run("clicks.py")
    assert "of object 1" in said
    for name in ("first", "corrected"):
        masks = sorted((tmp_path / "out" / "clicks" / name).rglob("*.png"))
        assert len(masks) == 8
        assert any(np.asarray(Image.open(each)).any() for each in masks)


def test_evaluate(run: Callable[..., str], tmp_path: Path) -> None:
    said = run("evaluate.py")
    assert "fast" in said
    assert "draft" in said
    assert "J" in (tmp_path / "out" / "evaluate" / "scores.md").read_text(encoding="utf-8")


def test_batch(run: Callable[..., str], tmp_path: Path) -> None:
    said = run("batch.py")
    assert "first: done, 4 frames" in said
    assert "second: done, 4 frames" in said
    assert (tmp_path / "out" / "batch" / "first" / "overlay.mp4").is_file()
