"""Masks whose palette was fitted to each picture score as what they show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from covos.core.errors import AnnotationError
from covos.evaluation import evaluate


@pytest.mark.parametrize("protocol", ["davis2016", "davis2017-unsup"])
def test_inverted_palettes_score_as_what_they_show(tmp_path: Path, protocol: str) -> None:
    for root, inverted in (("truth", False), ("result", True)):
        (tmp_path / root / "a").mkdir(parents=True)
        for index in range(5):
            labels = np.zeros((40, 50), np.uint8)
            labels[10:20, 5 + index : 20 + index] = 1
            image = Image.fromarray(1 - labels if inverted else labels, mode="P")
            image.putpalette([255, 255, 255, 0, 0, 0] if inverted else [0, 0, 0, 128, 0, 0])
            image.save(tmp_path / root / "a" / f"{index:05d}.png")
    if protocol != "davis2016":  # read by their colours they are one object without an id
        with pytest.raises(AnnotationError, match="value 255"):
            evaluate(tmp_path / "result", tmp_path / "truth", protocol=protocol)
        return
    found = evaluate(tmp_path / "result", tmp_path / "truth", protocol=protocol)
    assert found.scores.j.mean == pytest.approx(1.0)
