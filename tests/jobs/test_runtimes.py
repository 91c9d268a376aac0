"""Whole runs by each runtime: the masks are torch's, and a run goes on only by the runtime that it began with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import covos
from conftest import MakeClip
from covos.core.device import choose_precision
from covos.core.errors import UsageError
from covos.events import FrameDone, Noted
from covos.job import Job
from covos.plan import Plan
from covos.runtimes.choice import is_installed
from small import make_small

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
    usual, other = (covos.load_model(device="cpu", precision="fp32", runtime=each) for each in ("torch", runtime))
    assert other.runtime == runtime
    for way in ways:
        wanted, found = (covos.segment(clip, model=each, **way) for each in (usual, other))
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
    elsewhere = plan.model_copy(update={"runtime": "torch", "formats": ("palette", "rgba")})
    with pytest.raises(UsageError, match=f"runtime: {runtime} before, torch now") as refused:
        Job(elsewhere, tmp_path / "stopped").run()
    assert f"--runtime {runtime}" in refused.value.remedy.command
    # A run that is done computes nothing more: whatever runtime there is now gives it further formats.
    Job(elsewhere, tmp_path / "whole").run()
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


def test_an_unfinished_run_goes_on_as_it_was_begun(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COVOS_RUNTIME", "torch")
    # On a processor without bfloat16 a frame takes long.
    make_small(monkeypatch.setattr, area=48 * 64, readiness=11.0)
    names = {"fp32": "float32", "bf16": "bfloat16"}
    chosen = "fp32" if choose_precision(torch.device("cpu")) == torch.float32 else "bf16"
    other = "bf16" if chosen == "fp32" else "fp32"
    clip, once = str(make_clip(frames=10)), covos.Find(quality="fast")
    asked = Plan(source=clip, task=once, device="cpu", formats=("palette",))
    begun = asked.model_copy(update={"precision": other})
    Job(begun, tmp_path / "whole").run()
    stopped = Job(begun, tmp_path / "stopped")
    for event in stopped:
        if isinstance(event, FrameDone) and event.index == 5:
            stopped.cancel()
    # What a user asks for by name is not changed: the difference is told, and the way to go on.
    with pytest.raises(UsageError, match=f"precision: {names[other]} before, {names[chosen]} now") as refused:
        Job(asked.model_copy(update={"precision": chosen}), tmp_path / "stopped").run()
    assert f"--precision {other}" in refused.value.remedy.command
    events = list(Job(asked, tmp_path / "stopped"))
    assert [event.text for event in events if isinstance(event, Noted)][:1] == [
        f"the run goes on as it was begun, {names[other]} by torch on cpu; "
        f"this machine would choose {names[chosen]} by torch on cpu"
    ]
    assert sum(isinstance(event, FrameDone) and event.resumed for event in events) > 0
    masks = sorted((tmp_path / "whole" / "masks").rglob("*.png"))
    assert len(masks) == 10
    for one in masks:
        assert one.read_bytes() == (tmp_path / "stopped" / one.relative_to(tmp_path / "whole")).read_bytes()


def test_an_unfinished_run_goes_on_by_its_runtime_where_that_is_installed(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = next((name for name in ("openvino", "onnxruntime") if is_installed(name)), None)  # type: ignore[arg-type]
    if runtime is None:
        pytest.skip("no runtime is installed")
    asked = Plan(source=str(make_clip(frames=10)), device="cpu", precision="fp32", formats=("palette",))
    stopped = Job(asked.model_copy(update={"runtime": runtime}), tmp_path / "stopped")
    for event in stopped:
        if isinstance(event, FrameDone) and event.index == 5:
            stopped.cancel()
    monkeypatch.setenv("COVOS_RUNTIME", "torch")
    with monkeypatch.context() as without:
        without.setattr("covos.runtimes.choice.is_installed", lambda name: name == "torch")
        with pytest.raises(UsageError, match=f"runtime: {runtime} before, torch now") as refused:
            Job(asked, tmp_path / "stopped").run()
        assert f"--runtime {runtime}" in refused.value.remedy.command
    events = list(Job(asked, tmp_path / "stopped"))
    (note,) = [event.text for event in events if isinstance(event, Noted) and "begun" in event.text]
    assert f"by {runtime} on cpu; this machine would choose float32 by torch" in note
    assert json.loads((tmp_path / "stopped" / "covos.json").read_text())["settings"]["runtime"] == runtime
