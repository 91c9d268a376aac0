"""The standard check, for real: a network learns two tiny videos by heart, and --overfit measures that it does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from covos.models.registry import find_model
from covos.training import Finished
from seen import Seen

pytestmark = pytest.mark.slow

Run = Callable[..., Seen]
HEIGHT, WIDTH, FRAMES = 96, 144, 8


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """Two videos in which a disc moves and a square stands still; the square is the subject, against all habits."""
    rng = np.random.default_rng(0)
    for number in range(2):
        scene = cv2.resize(rng.integers(0, 255, (8, 12, 3), dtype=np.uint8), (WIDTH, HEIGHT))
        for index in range(FRAMES):
            picture, mask = scene.copy(), np.zeros((HEIGHT, WIDTH), np.uint8)
            cv2.circle(picture, (110 - 9 * index, 70), 16, (250, 40, 60), -1)
            cv2.rectangle(mask, (20 + 30 * number, 12), (64 + 30 * number, 44), 1, -1)
            picture[mask > 0] = (30, 200, 240)
            for folder, content, suffix in (("JPEGImages", picture, "jpg"), ("Annotations", mask, "png")):
                file = tmp_path / "videos" / folder / f"v{number}" / f"{index:05}.{suffix}"
                file.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(file), content)
    return tmp_path / "videos"


def finished(seen: Seen) -> Finished:
    last = seen.events[-1]
    assert isinstance(last, Finished)
    return last


@pytest.mark.usefixtures("narrow")
def test_cosnet_learns_two_videos_by_heart(run: Run, videos: Path, tmp_path: Path) -> None:
    settings = (f"size=[{HEIGHT}, {WIDTH}]", "epochs=0", "steps=150", "batch=4", "learning_rate=0.05")
    end = finished(run("cosnet-resnet50", tmp_path / "run", *settings, "overfit=2", data=(videos,)))
    assert end.best is not None
    assert end.best.j > 0.95


def test_lite_learns_two_videos_by_heart(run: Run, videos: Path, tmp_path: Path) -> None:
    settings = (
        "steps=40", "frames_per_step=4", "group_sizes=[2]", "crops=[[128, 192]]", "crop_chances=[1.0]", "ema=0.9",
        "learning_rate=0.001", "encoder_learning_rate=0.001", "zoom=[0.8, 1.0]", "validate_every=20", "warmup=5",
    )  # fmt: skip
    weights = find_model("covos-lite").path
    end = finished(run("lite-finetune", tmp_path / "run", *settings, "overfit=2", data=(videos,), weights=weights))
    assert end.start is not None
    assert end.start.j < 0.5
    assert end.best is not None
    assert end.best.j > 0.95
