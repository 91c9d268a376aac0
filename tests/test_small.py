"""The small networks of the tests see something, else tests would compare masks that are empty."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

import covos
from covos.engines.choices import Quality


@pytest.mark.usefixtures("small_networks")
@pytest.mark.parametrize("quality", get_args(Quality))
def test_every_frame_of_the_small_clip_has_a_subject_and_a_background(clip: Path, quality: Quality) -> None:
    areas = [int(each.mask.sum()) for each in covos.segment(clip, quality=quality)]
    assert len(areas) == 8
    assert min(areas) > 10, areas
    assert max(areas) < 48 * 64 / 2, areas
