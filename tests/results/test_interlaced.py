"""Masks of other programs and an interlaced clip: the conversion says what it does to the pictures, and is asked."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

import covos
from covos.core.errors import UsageError
from covos.core.types import Deinterlace
from media.test_fields import COUNT, HEIGHT, WIDTH, combing, interlaced
from stub_model import bright_model


def masks(folder: Path) -> Path:
    folder.mkdir()
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[16:48, 4:80] = 1
    for index in range(COUNT):
        Image.fromarray(mask).save(folder / f"{index:05d}.png")
    return folder


@pytest.mark.parametrize(
    ("choice", "combed", "said"), [("auto", False, "it is deinterlaced"), ("off", True, "is not deinterlaced")]
)
def test_a_conversion_says_if_it_deinterlaces(tmp_path: Path, choice: Deinterlace, combed: bool, said: str) -> None:
    clip = interlaced(tmp_path / "clip.mkv")
    saved = covos.convert(
        masks(tmp_path / "masks"), formats=["ffv1"], output=tmp_path / "out", source=clip, deinterlace=choice
    )
    assert sum(said in each for each in saved.warnings) == 1
    with av.open(str(saved.outputs[0])) as video:
        images = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert (combing(images[COUNT // 2]) > 10) == combed


def test_the_choice_of_a_run_stays_and_is_told_once(tmp_path: Path) -> None:
    clip, run = interlaced(tmp_path / "clip.mkv"), tmp_path / "run"
    covos.segment(clip, model=bright_model(), deinterlace="off").save(run, formats=["palette"])
    saved = covos.convert(run, formats=["ffv1"], output=tmp_path / "out")
    assert sum("interlaced" in each for each in saved.warnings) == 1
    with pytest.raises(UsageError, match="and the report of a run"):
        covos.convert(run, formats=["ffv1"], output=tmp_path / "no", deinterlace="on")


def test_a_choice_without_a_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no source is named"):
        covos.convert(masks(tmp_path / "masks"), formats=["coco"], output=tmp_path / "no", deinterlace="on")
    assert not (tmp_path / "no").exists()
