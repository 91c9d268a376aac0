"""A long video takes no more memory than a short one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from children import in_child
from covos.job import Job
from covos.model import Model
from covos.plan import Plan

MOST = 50 << 20


@pytest.mark.thorough
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a fork")
def test_memory_stays_flat(bright: Model, make_clip, tmp_path: Path) -> None:
    def peak(frames: int) -> int:
        clip = make_clip(f"{frames}.mp4", frames=frames)
        plan = Plan(source=str(clip), formats=("palette", "overlay", "coco"))
        child = in_child(
            lambda: Job(plan, tmp_path / f"{frames}", load=lambda _: bright).run().frames,  # type: ignore[union-attr]
            seconds=300,
        )
        assert (child.end, child.answer) == ("answered", frames)
        return child.peak

    assert peak(8000) - peak(400) < MOST
