"""The standard check, for real: a network learns two tiny videos by heart, and --overfit measures that it does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

import covos
from covos.models.cosnet.network import COSNET_RESNET50, COSNETS

AT_FULL_SIZE = True
"""See `conftest.py`."""
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


@pytest.mark.thorough  # `test_cosnet` has smaller ones that learn
def test_cosnet_learns_two_videos_by_heart(videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As deep as published, an eighth as wide, from random weights.
    monkeypatch.setitem(COSNETS, "cosnet_resnet50", replace(COSNET_RESNET50, width=8))
    result = covos.train(
        "cosnet-resnet50", videos, tmp_path / "run", overfit=2, steps=160, device="cpu", workers=0,
        size=(HEIGHT, WIDTH), learning_rate=0.05, power=0.9,
    )  # fmt: skip
    assert result.best is not None
    assert result.best.j > 0.95


@pytest.mark.thorough
def test_lite_learns_two_videos_by_heart(tianchi: Path, tmp_path: Path) -> None:
    # From ImageNet weights, as the packaged weights were begun.
    result = covos.train(
        "lite", tianchi, tmp_path / "run", overfit=2, steps=100, device="cpu", workers=0, warmup=10, ema=0.9,
        frames_per_step=4, group_sizes=[4], crops=[(192, 320)], crop_chances=[1.0], zoom=(0.9, 1.0),
        paste_share=0.0, spoil_share=0.0, validate_every=0,
    )  # fmt: skip
    assert result.best is not None
    assert result.best.j > 0.95


@pytest.mark.thorough  # half a minute; `test_loop` has a smaller one that learns
def test_lite_unlearns_what_it_knew(videos: Path, tmp_path: Path) -> None:
    result = covos.train(
        "lite-finetune", videos, tmp_path / "run", overfit=2, steps=40, device="cpu", workers=0, warmup=5, ema=0.9,
        frames_per_step=4, group_sizes=[2], crops=[(128, 192)], crop_chances=[1.0], zoom=(0.8, 1.0),
        learning_rate=0.001, encoder_learning_rate=0.001, validate_every=20,
    )  # fmt: skip
    assert result.start is not None
    assert result.start.j < 0.5
    assert result.best is not None
    assert result.best.j > 0.95
