"""The small networks of the tests see something, else tests would compare masks that are empty."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import get_args

import pytest

import covos
from covos.core import process
from covos.engines.choices import Quality


@pytest.mark.usefixtures("small_networks")
@pytest.mark.parametrize("quality", get_args(Quality))
def test_every_frame_of_the_small_clip_has_a_subject_and_a_background(clip: Path, quality: Quality) -> None:
    areas = [int(each.mask.sum()) for each in covos.segment(clip, quality=quality)]
    assert len(areas) == 8
    assert min(areas) > 10, areas
    assert max(areas) < 48 * 64 / 2, areas


@pytest.mark.skipif(process.CONTEXT.get_start_method() != "forkserver", reason="processes are forked from none here")
def test_workers_see_small_frames() -> None:
    """The process that they are forked from passes over modules that it does not find, without a word."""
    with ProcessPoolExecutor(1, mp_context=process.CONTEXT) as pool:
        area = "__import__('covos.model', fromlist=['model']).DEFAULT_AREA"
        assert pool.submit(eval, area).result() == 192 * 256
