"""One system call fails, or the process is killed at it: a true end, whole files, and the same command goes on."""

from __future__ import annotations

import random
import subprocess
from itertools import cycle
from pathlib import Path

import pytest

from covos.formats.table import FORMATS, TABLE
from faults.sweep import WAYS, Fault, Sweep, all_faults, small_clip

Process = subprocess.Popen[str]
VERBS = {"segment": Sweep.of_segment, "convert": Sweep.of_convert}
SOME = ("palette", "coco", "npz", "overlay", "sheet", "yolo")
ONE_EACH = {place.partition(":")[0]: name for name, place in TABLE.items()}
"""A format of each module of writers. Those of one module write by the same calls, and differ in what they draw: fault
by fault they end alike. `test_more_calls_of_every_format` has all of them, at more calls, by both commands."""


def sample(faults: list[Fault], count: int, *, seed: str) -> list[Fault]:
    return random.Random(seed).sample(faults, min(count, len(faults)))


@pytest.mark.parametrize("verb", VERBS)
def test_a_call_that_fails(failing: Process, tmp_path: Path, verb: str) -> None:
    sweep = VERBS[verb](failing, small_clip(tmp_path), SOME, folder=tmp_path)
    for way in WAYS:
        faults = [fault for fault in all_faults(sweep.counts) if fault.way == way]
        assert len(faults) > 100
        assert [line for fault in sample(faults, 3, seed=verb + way) for line in sweep.broken(fault)] == []


@pytest.mark.slow
@pytest.mark.parametrize(("verb", "name"), list(zip(cycle(VERBS), ONE_EACH.values(), strict=False)))
def test_some_calls_of_every_writer(failing: Process, tmp_path: Path, verb: str, name: str) -> None:
    sweep = VERBS[verb](failing, small_clip(tmp_path), [name], folder=tmp_path)
    faults = sample(all_faults(sweep.counts), 2, seed=verb + name)
    assert [line for fault in faults for line in sweep.broken(fault)] == []


@pytest.mark.thorough
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("verb", VERBS)
def test_more_calls_of_every_format(failing: Process, tmp_path: Path, verb: str, name: str) -> None:
    sweep = VERBS[verb](failing, small_clip(tmp_path), [name], folder=tmp_path)
    faults = sample(all_faults(sweep.counts), 20, seed=verb + name)
    assert [line for fault in faults for line in sweep.broken(fault)] == []


@pytest.mark.parametrize("verb", VERBS)
def test_the_report_itself_fails(failing: Process, tmp_path: Path, verb: str) -> None:
    sweep = VERBS[verb](failing, small_clip(tmp_path), ["coco"], folder=tmp_path)
    # The renames of a run: covos.json, coco.json, report.html, report.json, and covos.json again.
    last = sweep.counts["rename"]
    faults = [Fault(call="rename", at=at, way="I/O error once") for at in range(last - 2, last + 1)]
    assert [line for fault in faults for line in sweep.broken(fault)] == []


def test_killed_before_the_first_frame(failing: Process, tmp_path: Path) -> None:
    sweep = Sweep.of_convert(failing, small_clip(tmp_path), ["palette"], folder=tmp_path)
    assert [line for at in range(1, 6) for line in sweep.broken(Fault(call="any", at=at, way="killed"))] == []


def test_the_faults_strike(failing: Process, tmp_path: Path) -> None:
    clip = small_clip(tmp_path)
    sweep = Sweep.of_segment(failing, clip, SOME, folder=tmp_path)
    assert all(sweep.counts[call] > 0 for call in ("write", "rename", "fsync", "mkdir", "open"))
    met = sweep.met(Fault(call="write", at=sweep.counts["write"] // 2, way="disk full from then on"))
    assert met["code"] == 5
    assert met["struck"] > 0
