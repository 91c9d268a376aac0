"""A file-size limit stands in for a full disk: the kernel refuses the write either way, but needs no root."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from covos.core.errors import EnvironmentProblem
from covos.media.presets import H264
from covos.media.writer import VideoWriter

resource = pytest.importorskip("resource")

from children import in_child  # noqa: E402  it needs POSIX

Outcome = tuple[int, str, str, list[str]]
"""A limit, the stage that was reached, the error or "done", and the names of the files that are left."""


def write_under_limits(folder: Path, sound: Path) -> list[Outcome]:
    """Write a video under one limit after another, each some bytes further on."""
    noise = np.random.default_rng(0).integers(0, 255, (30, 48, 64, 3), dtype=np.uint8)
    outcomes: list[Outcome] = []
    for limit in [0, 1, 40, 1000, 4096, 20_000, 60_000, 90_000, 120_000, 140_000, 200_000, 10_000_000]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        stage = "open"
        try:
            with VideoWriter(
                folder / "out.mp4", height=48, width=64, time_base=Fraction(1, 25), frame_rate=Fraction(25),
                audio_from=sound, preset=replace(H264, crf=10),
            ) as writer:  # fmt: skip
                for index, image in enumerate(noise):
                    stage = f"write {index}"
                    writer.write(image, pts=index)
                stage = "close"
            outcome = "done"
        except EnvironmentProblem as problem:
            outcome = str(problem)
        outcomes.append((limit, stage, outcome, sorted(each.name for each in folder.iterdir())))
        (folder / "out.mp4").unlink(missing_ok=True)
    return outcomes


def test_a_full_disk_is_told_and_leaves_nothing(film: Callable[..., Path], tmp_path: Path) -> None:
    sound = film("sound.mp4", sound="aac")
    folder = tmp_path / "out"
    folder.mkdir()
    child = in_child(lambda: write_under_limits(folder, sound), seconds=120)
    assert child.end == "answered", child.answer
    outcomes = child.answer
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
