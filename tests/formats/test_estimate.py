"""Large results are announced; small ones are not worth a word."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from covos.formats.table import FORMATS, expected_sizes, size_notes


def test_small_results_are_not_announced(tmp_path: Path, info) -> None:
    assert size_notes([*FORMATS, "matte=16"], info=info(), folder=tmp_path / "not" / "yet") == ()


def test_a_long_clip_in_prores_is_announced(tmp_path: Path, info) -> None:
    made = info(frame_count=1500, height=1080, width=1920)
    (note,) = size_notes(["palette", "overlay", "prores"], info=made, folder=tmp_path)
    assert note == "prores will take about 1.5 GB"


def test_a_disk_that_is_too_small_is_named(tmp_path: Path, info, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=50_000_000))
    made = info(frame_count=100, height=1080, width=1920)
    large, full = size_notes(["rgba"], info=made, folder=tmp_path / "out")
    assert large == "rgba will take about 141 MB"
    assert f"{tmp_path / 'out'} has 50 MB free" in full


def test_a_background_is_as_large_as_the_way_in_which_it_is_written(info) -> None:
    asked = ("background=white", "background=white,prores", "blur=2%,tiff", "green=exr")
    plain, video, pictures, light = expected_sizes(asked, info=info()).values()
    assert plain == 0 < video < pictures < light
