"""Whole runs by each runtime: the masks are torch's, and a run goes on only by the runtime that it began with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import covos
from conftest import MakeClip
from covos.core.errors import UsageError
from covos.events import FrameDone
from covos.job import Job
from covos.plan import Plan
from covos.runtimes.choice import is_installed

AT_FULL_SIZE = True
"""See `conftest.py`."""

pytest.importorskip("onnx")
pytestmark = pytest.mark.usefixtures("kept_graphs")


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_masks_are_those_of_torch(runtime: Any, make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch) -> None:
    if not is_installed(runtime):
        pytest.skip(f"{runtime} is not installed")
    monkeypatch.setattr("covos.model.DEFAULT_AREA", 128 * 224)
    clip = make_clip(frames=6, height=96, width=128)
    ways: tuple[dict[str, Any], ...] = ({"matte": True}, {"boxes": [(8, 8, 40, 40)]})
    torch, other = (covos.load_model(device="cpu", precision="fp32", runtime=each) for each in ("torch", runtime))
    assert other.runtime == runtime
    for way in ways:
        wanted, found = (covos.segment(clip, model=each, **way) for each in (torch, other))
        assert len(found) == len(wanted) == 6
        for a, b in zip(found, wanted, strict=True):
            assert (a.labels != b.labels).mean() < 1e-3
            assert (a.matte is None) == (b.matte is None)
            assert a.matte is None or np.abs(a.matte.astype(float) - b.matte).max() < 0.02
        assert found.origin.settings["runtime"] == runtime
        assert found.origin.device.endswith(runtime)
        assert "runtime" not in wanted.origin.settings


def test_a_run_goes_on_by_its_runtime(make_clip: MakeClip, tmp_path: Path) -> None:
    runtime = next((name for name in ("openvino", "onnxruntime") if is_installed(name)), None)  # type: ignore[arg-type]
    if runtime is None:
        pytest.skip("no runtime is installed")
    clip = str(make_clip(frames=10))
    plan = Plan(source=clip, device="cpu", precision="fp32", runtime=runtime, formats=("palette",))  # type: ignore[arg-type]
    Job(plan, tmp_path / "whole").run()
    stopped = Job(plan, tmp_path / "stopped")
    for event in stopped:
        if isinstance(event, FrameDone) and event.index == 5:
            stopped.cancel()
    assert json.loads((tmp_path / "stopped" / "covos.json").read_text())["settings"]["runtime"] == runtime
    torch = plan.model_copy(update={"runtime": "torch", "formats": ("palette", "rgba")})
    with pytest.raises(UsageError, match=f"runtime: {runtime} before, torch now") as refused:
        Job(torch, tmp_path / "stopped").run()
    assert f"--runtime {runtime}" in refused.value.fix
    # A run that is done computes nothing more: whatever runtime there is now gives it further formats.
    Job(torch, tmp_path / "whole").run()
    assert json.loads((tmp_path / "whole" / "covos.json").read_text())["settings"]["runtime"] == runtime
    half = plan.model_copy(update={"precision": "bf16", "runtime": "torch", "formats": ("palette", "cutout")})
    with pytest.raises(UsageError, match="precision"):
        Job(half, tmp_path / "stopped").run()
    Job(half, tmp_path / "whole").run()
    assert json.loads((tmp_path / "whole" / "covos.json").read_text())["settings"]["precision"] == "float32"
    Job(plan, tmp_path / "stopped").run()
    for one in sorted((tmp_path / "whole" / "masks").rglob("*.png")):
        assert one.read_bytes() == (tmp_path / "stopped" / one.relative_to(tmp_path / "whole")).read_bytes()
    assert len(list((tmp_path / "whole" / "masks").rglob("*.png"))) == 10
