"""Frames of every size: a mask has the size of its frame, and the overlay shows it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from checked_output import check_output
from covos.job import Job
from covos.masks import read_label_map
from covos.model import Model
from covos.plan import Plan
from covos.runs.schema import load_report


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (16, 4096), (4096, 16), (33, 47)], ids=str)
def test_masks_and_overlays_of_any_size(bright: Model, tmp_path: Path, size: tuple[int, int]) -> None:
    frames = tmp_path / "frames"
    frames.mkdir()
    for index in range(3):
        image = np.zeros((*size, 3), np.uint8)
        image[: max(1, size[0] // 2)] = 80 * (index + 1)
        Image.fromarray(image).save(frames / f"{index}.png")
    plan = Plan(source=str(frames), formats=("palette", "overlay"))
    Job(plan, tmp_path / "out", load=lambda _: bright).run()
    masks = sorted((tmp_path / "out" / "masks").iterdir())
    assert [read_label_map(path).shape for path in masks] == [size] * 3
    report = load_report(tmp_path / "out")
    assert len(report.frames) == 3
    assert any("even sizes" in text for text in report.warnings) == bool(size[0] % 2 or size[1] % 2)
    if size[0] % 2 == size[1] % 2 == 0:
        assert check_output(tmp_path / "out") == []
