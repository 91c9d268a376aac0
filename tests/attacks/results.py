"""A finished run as covos leaves it, made without a network."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from covos.core.types import Frame, FrameResult, SourceInfo
from covos.media.source import Health
from covos.runs.folder import OutputFolder
from covos.runs.report import Origin
from covos.runs.writing import Writing, write_results

Change = Callable[[dict[str, Any]], object]
Run = Callable[..., tuple[int, str]]
"""Runs a command line: exit code, and what stood on stderr."""


def written_run(folder: Path, *, source: Path, frames: int = 2, change: Change | None = None) -> Path:
    """Write masks and a report of a source that nobody opens; ``change`` alters the report's content."""
    info = SourceInfo(
        path=str(source), kind="video", height=48, width=64, frame_count=frames, frame_rate=Fraction(25),
        duration=frames / 25, time_base=Fraction(1, 25),
    )  # fmt: skip
    labels = np.zeros((48, 64), np.uint8)
    labels[10:20, 10:20] = 1
    picture = np.zeros((48, 64, 3), np.uint8)
    write_results(
        (
            FrameResult(
                frame=Frame(index=index, stem=f"{index:05d}", image=picture, pts=index, time_base=Fraction(1, 25)),
                probability=(labels > 0).astype(np.float32),
                labels=labels,
                confidence=0.9,
            )
            for index in range(frames)
        ),
        Writing(
            info=info,
            health=lambda: Health(decoded=frames, expected=frames),
            folder=OutputFolder(folder),
            formats=("palette",),
            origin=Origin(model="covos-lite", sha256="0" * 64, device="cpu", settings={}),
            named=False,
        ),
    )
    if change is not None:
        file = folder / "report.json"
        content = json.loads(file.read_text())
        change(content)
        file.write_text(json.dumps(content))
    return folder
