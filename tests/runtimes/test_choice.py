"""The runtime that is asked for is the one that computes, or the error says why not."""

from __future__ import annotations

import pytest
import torch

from covos.core.device import choose_precision
from covos.core.errors import EnvironmentProblem, UsageError
from covos.plan import Plan
from covos.runtimes import choice
from covos.runtimes.choice import choose_computing, is_installed

CPU = torch.device("cpu")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """What is taken for installed, on a PC without a GPU that computes bfloat16."""
    there = {"openvino", "onnxruntime", "onnx"}
    monkeypatch.setattr(choice, "find_spec", lambda name: name if name in there else None)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr(choice, "resolve_device", lambda name: torch.device("cpu" if name == "auto" else name))
    monkeypatch.setattr(
        choice, "choose_precision", lambda _, asked="auto": torch.float32 if asked == "fp32" else torch.bfloat16
    )
    monkeypatch.delenv("COVOS_RUNTIME")
    return there


def test_auto_takes_what_was_measured_faster(installed: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_computing() == (CPU, torch.bfloat16, "openvino")
    assert choose_computing(device="cuda").runtime == "torch"
    installed.remove("openvino")
    assert choose_computing().runtime == "torch"  # in bfloat16, which ONNX Runtime does not compute in
    assert choose_computing(precision="fp32") == (CPU, torch.float32, "onnxruntime")
    installed.remove("onnxruntime")
    assert choose_computing(precision="fp32").runtime == "torch"
    installed.update({"openvino", "onnxruntime"})
    installed.remove("onnx")  # nothing makes the graphs
    assert choose_computing().runtime == "torch"
    installed.add("onnx")
    monkeypatch.setattr("platform.machine", lambda: "arm64")  # where nothing was measured
    assert choose_computing(precision="fp32").runtime == "torch"


def test_the_environment_stands_in_for_auto(installed: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVOS_RUNTIME", "onnxruntime")
    assert choose_computing() == (CPU, torch.float32, "onnxruntime")
    assert choose_computing(runtime="torch").runtime == "torch"
    monkeypatch.setenv("COVOS_RUNTIME", "openvin")
    with pytest.raises(UsageError, match="did you mean openvino"):
        choose_computing()


def test_what_cannot_be_is_refused(installed: set[str]) -> None:
    with pytest.raises(UsageError, match="computes on the processor"):
        choose_computing(device="cuda", runtime="openvino")
    with pytest.raises(UsageError, match="in float32"):
        choose_computing(precision="bf16", runtime="onnxruntime")
    with pytest.raises(UsageError, match="did you mean onnxruntime"):
        choose_computing(runtime="onnxruntim")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="runtime"):
        Plan(source="clip.mp4", runtime="tensorflow")  # type: ignore[arg-type]
    installed.remove("openvino")
    with pytest.raises(EnvironmentProblem, match=r"covos\[openvino\]"):
        choose_computing(runtime="openvino")


def test_torch_needs_nothing() -> None:
    assert is_installed("torch")
    assert choose_computing(device="cpu", runtime="torch") == (CPU, choose_precision(CPU), "torch")
