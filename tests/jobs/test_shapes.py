"""Sources of odd shapes: single pictures and frames, tiny, long and thin ones. Each mask has the size of its frame."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from checked_output import check_output
from covos.formats.table import FORMATS
from covos.job import Job
from covos.jobs import run_job
from covos.masks import read_label_map
from covos.model import Model
from covos.plan import Plan
from covos.prompts.values import as_prompts
from covos.runs.writing import Saved
from covos.task import Task, choose_task


@pytest.fixture
def run(model: Model, tmp_path: Path) -> Callable[..., Saved]:
    def start(source: Path, task: Task, *formats: str) -> Saved:
        plan = Plan(source=str(source), task=task, formats=formats)
        outcome = run_job(Job(plan, tmp_path / "out", load=lambda _: model))
        assert outcome.error is None
        assert outcome.saved is not None
        return outcome.saved

    return start


def pictures(folder: Path, *, size: tuple[int, int], count: int) -> Path:
    folder.mkdir()
    height, width = size
    for index in range(count):
        image = np.random.default_rng(0).integers(0, 60, (*size, 3), dtype=np.uint8)
        image[height // 4 : height // 2 + 1, width // 4 + index : width // 2 + 1 + index] = (230, 200, 40)
        Image.fromarray(image).save(folder / f"{index}.png")
    return folder


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (47, 63), (16, 4096), (1500, 20), (300, 401)])
@pytest.mark.parametrize("count", [1, 3])
def test_masks_have_the_size_of_the_frame(
    run: Callable[..., Saved], tmp_path: Path, size: tuple[int, int], count: int
) -> None:
    saved = run(pictures(tmp_path / "shots", size=size, count=count), choose_task(references=2), "palette", "overlay")
    assert check_output(saved.folder) == []
    masks = [read_label_map(path) for path in sorted((saved.folder / "masks").glob("*.png"))]
    assert [mask.shape for mask in masks] == [size] * count
    if count == 1:
        with Image.open(saved.folder / "overlay.png") as overlay:
            assert overlay.size == size[::-1]


@pytest.mark.parametrize("kind", ["found", "followed", "discovered"])
@pytest.mark.parametrize("alone", [True, False])
def test_a_single_frame_works_everywhere(
    run: Callable[..., Saved], tmp_path: Path, random_follower: Path, kind: str, alone: bool
) -> None:
    folder = pictures(tmp_path / "shots", size=(48, 64), count=1)
    mask = np.zeros((48, 64), bool)
    mask[12:24, 16:33] = True
    task = {
        "found": lambda: choose_task(references=2),
        "followed": lambda: choose_task(prompts=as_prompts(masks=mask), direction="both", follower=random_follower),
        "discovered": lambda: choose_task(objects="auto", references=2, follower=random_follower),
    }[kind]()
    formats = FORMATS if kind == "found" else ("palette", "overlay")
    saved = run(folder / "0.png" if alone else folder, task, *formats)
    assert saved.frames == 1
    assert check_output(saved.folder) == []
    if kind == "followed":
        np.testing.assert_array_equal(read_label_map(saved.folder / "masks" / "0.png") == 1, mask)
