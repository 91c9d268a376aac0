"""From a published checkpoint to masks: convert, load, segment."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

import covos
from covos import cli
from covos.core.errors import UsageError
from covos.models.cosnet.convert import convert
from covos.models.cosnet.network import COSNETS

SIZE = (48, 64)
TIANCHI = Path(__file__).parents[1] / "fixtures" / "tianchi"


@pytest.fixture
def weights(literal: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A converted COSNet, narrow and for small pictures."""
    base = COSNETS["cosnet_resnet50"]
    narrow = replace(base, width=8, preprocessing=replace(base.preprocessing, size=SIZE))
    monkeypatch.setitem(COSNETS, "cosnet_resnet50", narrow)
    source, output = tmp_path / "published.pth", tmp_path / "cosnet.safetensors"
    torch.save(literal.random_state("resnet50", outputs=3, still=False, contrast=0.3, base=8), source)
    # A bare state dict under COSNet's names, which is what its layout is inside.
    convert(source, output=output)
    return output


def test_the_bare_network_takes_a_pair(literal: ModuleType, weights: Path) -> None:
    model = covos.load_model(weights, device="cpu", precision="fp32")
    state = literal.random_state("resnet50", outputs=3, still=False, contrast=0.3, base=8)
    # Smooth pictures: on white noise these weights have affinities of hundreds, and the softmax turns float32's
    # rounding, the literal network's own included, into more than the tolerance.
    a, b = torch.nn.functional.interpolate(torch.rand(4, 3, 5, 5), size=(40, 56), mode="bilinear").split(2)
    with torch.inference_mode():
        got = model.network(a, b)
        want = literal.pair(state, a, b, align_corners=True)
    for ours, theirs in zip(got, want, strict=True):
        assert ours.shape == (2, 3, 40, 56)
        assert (ours - theirs).abs().max() < 1e-4


def test_segment_with_each_fusion(weights: Path, clip: Path) -> None:
    model = covos.load_model(weights, device="cpu", precision="fp32")
    maps = {}
    for fusion in ("summary", "prediction", "group"):
        results = list(covos.stream(clip, model=model, references=3, fusion=fusion))
        assert len(results) == 8
        maps[fusion] = results[0].probability
    assert np.abs(maps["summary"] - maps["group"]).max() > 0
    assert np.abs(maps["summary"] - maps["prediction"]).max() > 0
    drawn = [covos.segment(clip, model=model, references=3, reference_seed=5) for _ in range(2)]
    for one, other in zip(*drawn, strict=True):
        assert one.confidence == other.confidence
    assert drawn[0].origin.settings["reference_seed"] == 5


def test_more_references_than_frames(weights: Path, clip: Path) -> None:
    model = covos.load_model(weights, device="cpu", precision="fp32")
    assert len(covos.segment(clip, model=model, references=20)) == 8
    assert len(covos.segment(clip, model=model, references=20, reference_seed=0)) == 8


def test_an_unknown_fusion_is_refused_before_the_first_frame(clip: Path) -> None:
    with pytest.raises(UsageError, match="fusion"):
        covos.stream(clip, model=covos.load_model(device="cpu"), fusion="summary")


def test_the_command_line(weights: Path, clip: Path, tmp_path: Path) -> None:
    line = ["segment", str(clip), "-m", str(weights), "--references", "5", "--fusion", "summary"]
    assert cli.main([*line, "-f", "palette", "--device", "cpu", "-o", str(tmp_path / "out"), "-q"]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert "summary" in json.dumps(report)
    assert len(list((tmp_path / "out").rglob("*.png"))) == 8


def test_a_stopped_run_goes_on_with_a_file_that_was_converted_again(weights: Path, clip: Path, tmp_path: Path) -> None:
    """Another name, the same tensors: the same model."""
    again = tmp_path / "again.safetensors"
    convert(tmp_path / "published.pth", output=again)
    assert again.read_bytes() == weights.read_bytes()
    out = tmp_path / "out"
    line = [str(clip), "--references", "2", "-f", "palette", "--device", "cpu", "-o", str(out), "-q"]
    assert cli.main(["segment", *line, "-m", str(weights)]) == 0
    made = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    assert cli.main(["segment", *line, "-m", str(again)]) == 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.png")} == made, "done already"


def test_a_predicted_data_set_goes_on_with_a_file_that_was_converted_again(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = tmp_path / "again.safetensors"
    convert(tmp_path / "published.pth", output=again)
    line = ["predict", str(TIANCHI), "-o", str(tmp_path / "out"), "--device", "cpu", "--references", "2"]
    assert cli.main([*line, "-m", str(weights)]) == 0
    capsys.readouterr()
    assert cli.main([*line, "-m", str(again)]) == 0
    assert cli.main([*line, "-m", "covos-lite"]) == 2
    assert "the model: one with weights" in capsys.readouterr().err
