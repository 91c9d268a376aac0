from __future__ import annotations

import contextlib

import pytest
import torch

from covos.core.device import Precision, choose_precision
from covos.core.errors import UsageError

CPU = torch.device("cpu")


def answer(monkeypatch: pytest.MonkeyPatch, *, avx512: bool, amx: bool) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)


@pytest.mark.parametrize(
    ("avx512", "amx", "expected"),
    [(False, False, torch.float32), (True, False, torch.bfloat16), (False, True, torch.bfloat16)],
)
def test_a_cpu_computes_bfloat16_only_if_native(
    monkeypatch: pytest.MonkeyPatch, avx512: bool, amx: bool, expected: torch.dtype
) -> None:
    answer(monkeypatch, avx512=avx512, amx=amx)
    assert choose_precision(CPU) is expected


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
