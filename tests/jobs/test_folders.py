"""Each of several inputs has a subfolder of its own inside the output folder, whatever it is called by."""

from __future__ import annotations

from pathlib import Path

import pytest

from covos.core.errors import UsageError
from covos.jobs import output_folders


def test_subfolders_are_named_after_their_inputs(tmp_path: Path) -> None:
    (tmp_path / "shots.v2").mkdir()
    inputs = [str(tmp_path / "clip.mp4"), str(tmp_path / "shots.v2"), str(tmp_path / "walk" / "*.png")]
    found = output_folders(inputs, output=tmp_path / "out")
    assert list(found) == inputs
    assert [path.relative_to(tmp_path / "out").as_posix() for path in found.values()] == ["clip", "shots.v2", "walk"]


def test_dots_do_not_lead_out_of_the_output_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "film" / "frames"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    found = output_folders([".", "..", "clip.mp4"], output=tmp_path / "out")
    assert {name: path.relative_to(tmp_path / "out").as_posix() for name, path in found.items()} == {
        ".": "frames", "..": "film", "clip.mp4": "clip",
    }  # fmt: skip
    assert output_folders(["*.png", "clip.mp4"], output=tmp_path / "out")["*.png"] == tmp_path / "out" / "frames"
    with pytest.raises(UsageError, match="would both go to"):
        output_folders([".", "*.png"], output=tmp_path / "out")
