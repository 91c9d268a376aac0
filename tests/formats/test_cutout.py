"""A cut-out is cropped to all that is seen of its subject: soft edges and hair too."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from covos.core.types import Frame, FrameResult, SourceInfo
from covos.formats.compose import ComposedResult
from covos.formats.table import make_writer
from covos.masks.edges import Edges
from covos.runs.folder import OutputFolder


def discs() -> list[FrameResult]:
    """Two objects, side by side in the middle of 96 x 128 pixels, which move to the right."""
    y, x = np.mgrid[:96, :128]
    results = []
    for index in range(3):
        labels = (np.hypot(y - 48, x - 60 - index) < 16).astype(np.uint8)
        labels[(labels > 0) & (x > 60)] = 2
        frame = Frame(
            index=index, stem=f"{index:05d}", image=np.full((96, 128, 3), 90, np.uint8), pts=index,
            time_base=Fraction(1, 25),
        )  # fmt: skip
        probability = (labels > 0).astype(np.float32)
        results.append(FrameResult(frame=frame, probability=probability, labels=labels, confidence=1.0))
    return results


def feathered(result: FrameResult) -> FrameResult:
    labels, soft = Edges(feather=24).apply(result.labels, result.probability)
    return replace(result, labels=labels, probability=soft, feather=24.0)


def haired(result: FrameResult) -> FrameResult:
    """With a matte that has a hair to the left and one to the right."""
    matte = (result.labels > 0).astype(np.float32)
    matte[40:42, 20:60], matte[44:46, 60:110] = 0.4, 0.5
    return replace(result, matte=np.maximum(matte, result.labels > 0))


@pytest.mark.parametrize("name", ["cutout", "cutout=each"])
@pytest.mark.parametrize("soften", [feathered, haired])
def test_nothing_that_is_seen_is_cut_off(
    tmp_path: Path, info: Callable[..., SourceInfo], name: str, soften: Callable[[FrameResult], FrameResult]
) -> None:
    results = [soften(result) for result in discs()]
    about = info(height=96, width=128, frame_count=3)
    writer = make_writer(name, OutputFolder(tmp_path / "out"), info=about, source_path=tmp_path / "none")
    for result in results:
        writer.write(result)
    writer.close()
    boxes = sorted((tmp_path / "out").rglob("box.json"))
    assert len(boxes) == (2 if name.endswith("each") else 1)
    for identity, file in enumerate(boxes, 1):
        box = json.loads(file.read_text())
        rows, columns = slice(box["top"], box["top"] + box["height"]), slice(box["left"], box["left"] + box["width"])
        assert box["width"] * box["height"] < 96 * 128
        for result in results:
            composed = ComposedResult.of(result)
            wanted = composed.only(identity).alpha if name.endswith("each") else composed.alpha
            picture = np.asarray(Image.open(file.parent / f"{result.frame.stem}.png"))
            assert np.array_equal(picture[..., 3], wanted[rows, columns])
            assert picture[..., 3].astype(int).sum() == wanted.astype(int).sum(), "all of it lies in the box"
