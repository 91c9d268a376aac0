from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from covos.core.device import available_devices, resolve_device
from covos.core.errors import EnvironmentProblem, UsageError


def pretend(monkeypatch: pytest.MonkeyPatch, *, cuda: int = 0, mps: bool = False) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(("cuda", "mps", "expected"), [(0, False, "cpu"), (2, False, "cuda"), (0, True, "cpu")])
def test_auto_takes_cuda_before_the_cpu(monkeypatch: pytest.MonkeyPatch, cuda: int, mps: bool, expected: str) -> None:
    pretend(monkeypatch, cuda=cuda, mps=mps)
    assert resolve_device("auto") == torch.device(expected)


def test_what_is_there_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, cuda=2, mps=True)
    assert available_devices() == ("cpu", "cuda:0", "cuda:1", "mps")
    assert resolve_device("cuda") == torch.device("cuda")
    assert resolve_device("cuda:1") == torch.device("cuda:1")
    assert resolve_device("mps") == torch.device("mps")


@pytest.mark.parametrize(
    ("told", "platform", "loads"),
    [
        ("cuda: str | None = None\nhip: str | None = None\n", "linux", False),
        ("cuda = '12.8'\nhip = None\n", "linux", True),
        ("cuda = None\nhip = '6.2'\n", "linux", True),
        ("cuda = None\nhip = None\n", "darwin", True),  # a build for macOS has Metal, and tells of no version of it
        ("__version__ = '3.0'\n", "linux", True),
        ("damaged (", "linux", True),
        (None, "linux", True),
    ],
)
def test_torch_is_loaded_only_where_it_may_know_a_gpu(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, told: str | None, platform: str, loads: bool
) -> None:
    """Its place is taken by a package that says if it was loaded."""
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise LookupError('it is loaded')")
    if told is not None:
        (tmp_path / "torch" / "version.py").write_text(told)
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "platform", platform)
    if loads:
        with pytest.raises(LookupError, match="it is loaded"):
            available_devices()
    else:
        assert available_devices() == ("cpu",)


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "mps"])
def test_a_device_that_is_not_there(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    pretend(monkeypatch)
    with pytest.raises(EnvironmentProblem) as caught:
        resolve_device(name)
    assert repr(name) in caught.value.what
    assert caught.value.fix.endswith("cpu")


def test_the_third_of_two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, cuda=2)
    with pytest.raises(EnvironmentProblem, match="cuda:0, cuda:1"):
        resolve_device("cuda:2")


@pytest.mark.parametrize("name", ["gpu", "", "CUDA", "cuda:", "cuda:x", "cpu:0", "cuda:-1", "auto "])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(UsageError, match="unknown device"):
        resolve_device(name)
