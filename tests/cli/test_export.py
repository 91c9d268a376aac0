"""``covos export``, and the example that segments by what it writes, without torch."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import covos
from covos import cli
from covos.media.opening import open_source
from covos.media.writer import VideoWriter

AT_FULL_SIZE = True
"""See `conftest.py`."""
EXAMPLES = Path(__file__).parents[2] / "examples"
# As `python examples/onnx_without_torch.py ...`, where neither is installed.
PROGRAM = """
import runpy, sys
sys.modules["torch"] = sys.modules["covos"] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
pytest.importorskip("onnx")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A few frames of the example clip, far apart."""
    rate = Fraction(25)
    with (
        open_source(EXAMPLES / "car.mp4") as source,
        VideoWriter(tmp_path / "clip.mp4", height=432, width=768, time_base=1 / rate, frame_rate=rate) as writer,
    ):
        for index, frame in enumerate(source.select(range(30, 60, 5))):
            writer.write(frame.image, pts=index)
    return tmp_path / "clip.mp4"


def test_the_example_needs_no_torch(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    graphs, masks = str(tmp_path / "graphs"), tmp_path / "masks"
    assert cli.main(["export", "covos-lite", "-o", graphs]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in said] == [
        f"covos-lite.{stage}.onnx" for stage in ("encode", "memorise", "segment")
    ]
    assert cli.main(["export", "covos-lite", "-o", graphs]) == 2
    assert cli.main(["export", "covos-lite", "-o", graphs, "-n"]) == 0
    example = str(EXAMPLES / "onnx_without_torch.py")
    subprocess.run([sys.executable, "-c", PROGRAM, example, graphs, str(clip), str(masks)], check=True)
    found = [np.asarray(Image.open(path)) > 0 for path in sorted(masks.glob("*.png"))]
    model = covos.load_model(device="cpu", precision="fp32")
    monkeypatch.setattr(model.network, "uses_motion", False)
    wanted = [each.labels > 0 for each in covos.segment(clip, model=model)]
    assert len(found) == len(wanted) == 6
    for a, b in zip(found, wanted, strict=True):
        assert (a & b).sum() > 0.95 * (a | b).sum() > 0
