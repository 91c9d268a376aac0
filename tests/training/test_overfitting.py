"""A network learns two small videos by heart: the check that loss, batches and measuring belong together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import covos

LITE: dict[str, Any] = {
    "steps": 100, "frames_per_step": 4, "group_sizes": [4], "crops": [(192, 320)], "crop_chances": [1.0],
    "paste_share": 0.0, "spoil_share": 0.0, "zoom": (0.9, 1.0), "warmup": 10, "ema": 0.9, "validate_every": 0,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "settings"), [("lite", LITE)])
def test_two_videos_are_learnt_by_heart(tianchi: Path, tmp_path: Path, recipe: str, settings: dict[str, Any]) -> None:
    result = covos.train(recipe, tianchi, tmp_path, overfit=2, device="cpu", workers=0, **settings)
    assert result.best is not None
    assert result.best.j > 0.95
