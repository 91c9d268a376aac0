from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch

from covos import cli
from covos.models.cosnet.network import COSNETS


@pytest.fixture
def checkpoint(literal: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """COSNet's layout at an eighth of its width, with one tensor too many."""
    monkeypatch.setitem(COSNETS, "cosnet_resnet50", replace(COSNETS["cosnet_resnet50"], width=8))
    state = literal.random_state("resnet50", outputs=1, still=True, contrast=0.3, base=8)
    path = tmp_path / "co_attention.pth"
    torch.save({"model": {f"module.{name}": tensor for name, tensor in state.items()} | {"x": torch.zeros(1)}}, path)
    return path


def test_every_tensor_is_accounted_for(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    brief = checkpoint.parent / "a" / "new folder" / "cosnet.safetensors"
    assert cli.main(["models", "convert", str(checkpoint), "-o", str(brief)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "unexpected  x, left out", "what was mapped is counted"
    assert len(lines) == 3
    output = checkpoint.with_name("cosnet.safetensors")
    assert cli.main(["models", "convert", str(checkpoint), "-o", str(output), "--all"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert output.read_bytes() == brief.read_bytes()
    assert "mapped      linear_e.weight -> coattention.weight.weight" in lines
    assert "unexpected  x, left out" in lines
    assert lines[-2].startswith("cosnet_resnet50 from the layout cosnet: ")
    assert lines[-2].endswith("0 missing, 1 unexpected; 0 counters left out")
    assert lines[-1] == str(output)
    assert output.is_file()


def test_a_file_is_replaced_on_request_only(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = checkpoint.with_name("cosnet.safetensors")
    output.write_text("mine")
    assert cli.main(["models", "convert", str(checkpoint), "-o", str(output)]) == 2
    assert output.read_text() == "mine"
    assert "exists" in capsys.readouterr().err
    assert cli.main(["models", "convert", str(checkpoint), "-o", str(output), "-y", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["architecture"] == "cosnet_resnet50"
    assert report["unexpected"] == ["x"]
    assert output.stat().st_size > 1000


def test_a_wrong_file_ends_with_its_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, output = tmp_path / "notes.pth", tmp_path / "o.safetensors"
    source.write_text("not weights")
    assert cli.main(["models", "convert", str(source), "-o", str(output)]) == 3
    assert "notes.pth" in capsys.readouterr().err
    assert not output.exists()
