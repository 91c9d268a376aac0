"""Pictures that are read again are made whole as they were when the masks were found."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import covos
from clips import write_combed
from covos.core.types import Deinterlace
from covos.job import Job
from covos.media.opening import open_source
from covos.model import Model
from covos.plan import Plan
from stub_model import bright_model


@pytest.fixture(scope="module")
def model() -> Model:
    return bright_model()


def read(source: covos.Segmentation) -> list[NDArray[np.uint8]]:
    with source.open_source(what="a test") as opened:
        return [frame.image for frame in opened]


@pytest.mark.parametrize("choice", ["on", "off", "auto"])
def test_a_result_reads_its_pictures_as_the_run_did(tmp_path: Path, model: Model, choice: Deinterlace) -> None:
    combed = write_combed(tmp_path / "combed.mp4")
    with open_source(combed, deinterlace=choice) as source:
        seen = [frame.image for frame in source]
    with open_source(combed) as source:
        assert (choice == "on") != all(np.array_equal(frame.image, seen[frame.index]) for frame in source)
    result = covos.segment(combed, model=model, deinterlace=choice)
    Job(Plan(source=combed, deinterlace=choice, formats=("palette",)), tmp_path / "out", load=lambda _: model).run()
    covos.convert(tmp_path / "out", formats=["palette"], output=tmp_path / "again", range=covos.Range(start="f2"))
    for kept in (result, result.trim(range(6)), covos.load_result(tmp_path / "out")):
        assert np.array_equal(read(kept), seen)
    assert np.array_equal(read(covos.load_result(tmp_path / "again")), seen[2:])
    moved = combed.rename(tmp_path / "moved.mp4")
    assert np.array_equal(read(covos.load_result(tmp_path / "out", source=moved)), seen)
    noted = json.loads((tmp_path / "out" / "report.json").read_text())["source"]
    assert noted.get("deinterlace", "auto") == choice
