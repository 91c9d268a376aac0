"""Still pictures of one round thing with soft or hard edges: covos-matte is trained on them in the tests."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from covos.data import Dataset, open_dataset


def pictures(root: Path, *, soft: bool, count: int = 3) -> Dataset:
    """Write pictures of 120 x 140 pixels below ``root``, and open them as a data set."""
    rng = np.random.default_rng(soft)
    for part in ("images", "masks"):
        (root / part).mkdir(parents=True)
    for k in range(count):
        image = cv2.GaussianBlur(rng.integers(0, 255, (120, 140, 3)).astype(np.uint8), (0, 0), 2)
        mask = np.zeros((120, 140), np.uint8)
        cv2.circle(mask, (70, 60), 35, 255, -1)
        cv2.imwrite(str(root / "images" / f"{k}.png"), image)
        cv2.imwrite(str(root / "masks" / f"{k}.png"), cv2.GaussianBlur(mask, (0, 0), 4) if soft else mask)
    return open_dataset(root)
