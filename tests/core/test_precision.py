from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
import torch

from covos.core import device
from covos.core.device import Precision, choose_precision, has_bfloat16
from covos.core.errors import UsageError

CPU = torch.device("cpu")


def answer(monkeypatch: pytest.MonkeyPatch, *, avx512: bool, amx: bool, intel: bool = False) -> None:
    monkeypatch.setattr(device, "_is_of_intel", lambda: intel)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)


@pytest.mark.parametrize(
    ("avx512", "amx", "intel", "expected"),
    [
        (False, False, False, torch.float32),
        (False, False, True, torch.float32),
        (True, False, False, torch.bfloat16),
        (True, False, True, torch.float32),
        (False, True, True, torch.bfloat16),
        (True, True, True, torch.bfloat16),
    ],
)
def test_a_cpu_computes_bfloat16_only_if_it_is_faster(
    monkeypatch: pytest.MonkeyPatch, avx512: bool, amx: bool, intel: bool, expected: torch.dtype
) -> None:
    answer(monkeypatch, avx512=avx512, amx=amx, intel=intel)
    assert choose_precision(CPU) is expected
    assert has_bfloat16() is (avx512 or amx)


def test_who_made_the_processor_is_read_from_the_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    listed = tmp_path / "cpuinfo"
    monkeypatch.setattr(device, "_CPUS", listed)
    for vendor, intel in (("GenuineIntel", True), ("AuthenticAMD", False)):
        listed.write_text(f"processor\t: 0\nvendor_id\t: {vendor}\nmodel name\t: GenuineIntel in a name\n")
        assert device._is_of_intel() is intel
    listed.write_text("processor\t: 0\n")
    assert device._is_of_intel() is False
    listed.unlink()  # as on Windows and macOS
    monkeypatch.setattr("platform.processor", lambda: "Intel64 Family 6 Model 143 Stepping 8, GenuineIntel")
    assert device._is_of_intel() is True


def test_a_torch_without_the_private_questions_means_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported", raising=False)
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported", raising=False)
    assert choose_precision(CPU) is torch.float32


@pytest.mark.parametrize(("native", "expected"), [(True, torch.bfloat16), (False, torch.float16)])
def test_cuda(monkeypatch: pytest.MonkeyPatch, native: bool, expected: torch.dtype) -> None:
    monkeypatch.setattr(torch.cuda, "device", lambda _: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native)
    assert choose_precision(torch.device("cuda")) is expected


@pytest.mark.parametrize(("requested", "expected"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_a_request_is_taken_as_it_is(
    monkeypatch: pytest.MonkeyPatch, requested: Precision, expected: torch.dtype
) -> None:
    answer(monkeypatch, avx512=False, amx=False)
    assert choose_precision(CPU, requested) is expected


def test_float16_is_for_gpus() -> None:
    assert choose_precision(torch.device("cuda"), "fp16") is torch.float16
    with pytest.raises(UsageError, match="fp16 on the CPU"):
        choose_precision(CPU, "fp16")


def test_an_unknown_name() -> None:
    with pytest.raises(UsageError, match="'half'"):
        choose_precision(CPU, "half")  # type: ignore[arg-type]
