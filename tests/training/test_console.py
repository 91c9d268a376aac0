"""The console of a training says each thing on a line of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from covos.training import Console, Finished


def test_an_end_of_several_lines_is_said_in_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("covos.training.run_folder.describe_outcome", lambda _: "start  J 0.5\nno step was better")
    console = Console()
    console.started = True
    console(Finished(step=4, start=None, best=None, weights=tmp_path / "best.safetensors"))
    assert capsys.readouterr().err.splitlines() == ["start  J 0.5", "no step was better"]
