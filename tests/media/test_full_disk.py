"""A file-size limit stands in for a full disk: the kernel refuses the write either way, but needs no root."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("resource")

# One process tries every limit: each write happens under a limit some bytes further on than the one before.
PROGRAM = """
import json, resource, sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
import numpy as np
from covos.core.errors import EnvironmentProblem
from covos.media.presets import H264
from covos.media.writer import VideoWriter

folder, sound = Path(sys.argv[1]), Path(sys.argv[2])
noise = np.random.default_rng(0).integers(0, 255, (30, 48, 64, 3), dtype=np.uint8)
outcomes = []
for limit in [0, 1, 40, 1000, 4096, 20_000, 60_000, 90_000, 120_000, 140_000, 200_000, 10_000_000]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    stage = "open"
    try:
        with VideoWriter(folder / "out.mp4", height=48, width=64, time_base=Fraction(1, 25),
                         frame_rate=Fraction(25), audio_from=sound, preset=replace(H264, crf=10)) as writer:
            for index, image in enumerate(noise):
                stage = f"write {index}"
                writer.write(image, pts=index)
            stage = "close"
        outcome = "done"
    except EnvironmentProblem as problem:
        outcome = str(problem)
    outcomes.append((limit, stage, outcome, sorted(p.name for p in folder.iterdir())))
    (folder / "out.mp4").unlink(missing_ok=True)
print(json.dumps(outcomes))
"""


def test_a_full_disk_is_told_and_leaves_nothing(film: Callable[..., Path], tmp_path: Path) -> None:
    sound = film("sound.mp4", sound="aac")
    folder = tmp_path / "out"
    folder.mkdir()
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), str(sound)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    outcomes = json.loads(run.stdout)
    for limit, stage, outcome, files in outcomes[:-1]:
        if outcome == "done":
            assert limit >= 90_000
            assert files == ["out.mp4"]
        else:
            assert str(folder / "out.mp4") in outcome
            assert "File too large" in outcome
            assert files == [], (limit, stage)
    assert outcomes[-1][2:] == ["done", ["out.mp4"]]
    assert {stage.split()[0] for _, stage, outcome, _ in outcomes if outcome != "done"} >= {"write", "close"}
