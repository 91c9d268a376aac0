"""Results without a model: noise with a square that the labels know."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from covos.types import Frame, FrameResult, SourceInfo

MakeInfo = Callable[..., SourceInfo]
MakeResult = Callable[..., FrameResult]


@pytest.fixture
def info() -> MakeInfo:
    def make(**changes: object) -> SourceInfo:
        values: dict[str, object] = {
            "path": "clip.mp4",
            "kind": "video",
            "height": 48,
            "width": 64,
            "frame_count": 5,
            "frame_rate": Fraction(25),
            "duration": 0.2,
            "time_base": Fraction(1, 25),
        }
        return SourceInfo(**{**values, **changes})

    return make


@pytest.fixture
def result() -> MakeResult:
    def make(
        index: int = 0,
        *,
        stem: str | None = None,
        pts: int | None = None,
        size: tuple[int, int] = (48, 64),
        ids: tuple[int, ...] = (1,),
        confidence: float = 0.9,
        time_base: Fraction = Fraction(1, 25),
    ) -> FrameResult:
        labels = np.zeros(size, np.uint8)
        for place, identity in enumerate(ids):
            labels[size[0] // 4 : size[0] // 2, 4 + 12 * place + index % 4 : 12 + 12 * place + index % 4] = identity
        image = np.random.default_rng(index).integers(0, 90, (*size, 3), dtype=np.uint8)
        frame = Frame(
            index=index,
            stem=f"{index:05d}" if stem is None else stem,
            image=image,
            pts=index if pts is None else pts,
            time_base=time_base,
        )
        probability = (labels > 0).astype(np.float32)
        return FrameResult(frame=frame, probability=probability, labels=labels, confidence=confidence)

    return make


def tree(folder: Path) -> list[str]:
    """Every file below a folder, except covos's own list."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".covos-files"
    )


@pytest.fixture(name="tree")
def _tree() -> Callable[[Path], list[str]]:
    return tree
