from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
import torch

from covos.core import device as threads


@pytest.fixture
def eight_cpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine of eight processors without a quota; the folder where one can be put."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(threads, "_QUOTA_V2", tmp_path / "cpu.max")
    monkeypatch.setattr(threads, "_QUOTA_V1", tmp_path / "cpu.cfs_quota_us")
    return tmp_path


def test_without_a_quota_the_affinity_counts(eight_cpus: Path) -> None:
    assert threads.usable_cpus() == 8


@pytest.mark.parametrize(
    ("text", "expected"), [("200000 100000", 2), ("150000 100000", 2), ("1000 100000", 1), ("max 100000", 8), ("", 8)]
)
def test_the_quota_of_a_container(eight_cpus: Path, text: str, expected: int) -> None:
    (eight_cpus / "cpu.max").write_text(text + "\n")
    assert threads.usable_cpus() == expected


@pytest.mark.parametrize(("granted", "expected"), [("300000", 3), ("-1", 8)])
def test_the_quota_of_an_old_container(eight_cpus: Path, granted: str, expected: int) -> None:
    (eight_cpus / "cpu.cfs_quota_us").write_text(granted)
    (eight_cpus / "cpu.cfs_period_us").write_text("100000")
    assert threads.usable_cpus() == expected


@pytest.mark.parametrize(("told", "expected"), [("3", 3), ("", 8), ("0", 8), ("many", 8)])
def test_omp_num_threads_goes_before(
    eight_cpus: Path, monkeypatch: pytest.MonkeyPatch, told: str, expected: int
) -> None:
    set_to: dict[str, int] = {}
    monkeypatch.setattr(torch, "set_num_threads", lambda count: set_to.update(torch=count))
    monkeypatch.setattr(cv2, "setNumThreads", lambda count: set_to.update(cv2=count))
    monkeypatch.setattr(threads, "_CALLS", [1])
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    assert threads.configure_threads() == expected
    assert set_to == {"torch": expected, "cv2": expected}


@pytest.mark.parametrize(
    ("cpus", "network", "calls", "codec"),
    [(1, 1, 1, 2), (2, 1, 2, 2), (4, 2, 2, 2), (8, 4, 2, 4), (16, 8, 2, 8), (24, 8, 3, 8), (64, 8, 4, 8)],
)
def test_threads_of_a_run(cpus: int, network: int, calls: int, codec: int) -> None:
    assert threads.choose_threads(cpus) == (network, calls, codec)


@pytest.mark.parametrize(
    ("pipeline", "told", "expected"), [(True, "", 2), (False, "", 1), (True, "8", 2), (True, "2", 2), (True, "1", 1)]
)
def test_calls_of_a_network_at_a_time(
    eight_cpus: Path, monkeypatch: pytest.MonkeyPatch, pipeline: bool, told: str, expected: int
) -> None:
    monkeypatch.setattr(threads, "_CALLS", [1])
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    monkeypatch.setattr(cv2, "setNumThreads", lambda count: None)
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    threads.configure_threads(pipeline=pipeline)
    assert threads.calls_at_once() == expected


@pytest.mark.parametrize(("pipeline", "share", "expected"), [(False, 1, 8), (True, 1, 4), (True, 4, 1), (False, 20, 1)])
def test_the_calls_of_a_pipeline_share_the_processors(
    eight_cpus: Path, monkeypatch: pytest.MonkeyPatch, pipeline: bool, share: int, expected: int
) -> None:
    set_to: dict[str, int] = {}
    monkeypatch.setattr(torch, "set_num_threads", lambda count: set_to.update(torch=count))
    monkeypatch.setattr(cv2, "setNumThreads", lambda count: set_to.update(cv2=count))
    monkeypatch.setattr(threads, "_CALLS", [1])
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert threads.configure_threads(pipeline=pipeline, share=share) == expected
    assert set_to == {"torch": expected, "cv2": expected}


@pytest.mark.parametrize(
    ("settings", "encoder", "decoder"),
    [
        ({}, 4, 0),
        ({"share": 4}, 2, 2),
        ({"share": 2, "pipeline": True}, 2, 4),
        ({"cpus": 1}, 2, 2),
        ({"cpus": 6}, 3, 6),
    ],
)
def test_encoders_and_decoders_keep_to_the_share_of_a_process(
    eight_cpus: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, int], encoder: int, decoder: int
) -> None:
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    monkeypatch.setattr(cv2, "setNumThreads", lambda count: None)
    monkeypatch.setattr(threads, "_CALLS", [1])
    monkeypatch.setattr(threads, "_GRANTED", [None])
    threads.configure_threads(**settings)
    assert (threads.encoder_threads(), threads.codec_threads()) == (encoder, decoder)


@pytest.mark.parametrize(("given", "found"), [(None, "passive"), ("active", "active")])
def test_threads_do_not_spin_unless_asked(given: str | None, found: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run(
        [sys.executable, "-c", "import os, covos; print(os.environ['OMP_WAIT_POLICY'])"],
        env=environment if given is None else {**environment, "OMP_WAIT_POLICY": given},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == found
