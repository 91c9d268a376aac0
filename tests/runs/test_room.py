"""Room on the disk: refused where it certainly does not do, and told where it did not."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from covos.core.errors import EnvironmentProblem
from covos.core.files import is_disk_full
from covos.media.source import Health
from covos.runs.folder import OutputFolder
from covos.runs.report import Origin
from covos.runs.room import bytes_below, disk_needed, refuse_small_disk
from covos.runs.writing import Writing, write_results

ORIGIN = Origin(model="m", sha256="0", device="cpu", settings={})


def test_a_disk_that_certainly_does_not_do(tmp_path: Path, info, monkeypatch: pytest.MonkeyPatch) -> None:
    long = info(frame_count=10_000)
    free = [50_000_000]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free[0]))
    refuse_small_disk(["palette"], info=long, folder=tmp_path / "out")
    free[0] = 30_000_000
    refuse_small_disk(["coco"], info=long, folder=tmp_path / "out")
    with pytest.raises(EnvironmentProblem, match="the disk cannot hold the results") as caught:
        refuse_small_disk(["palette"], info=long, folder=tmp_path / "out")
    assert "30 MB are free, and 10000 frames take 43 MB at the least" in caught.value.why
    assert caught.value.exit_code == 5
    # What an earlier run has written there makes room.
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "masks").write_bytes(bytes(14_000_000))
    refuse_small_disk(["palette"], info=long, folder=tmp_path / "out")


def test_how_much_more_is_needed(tmp_path: Path, info) -> None:
    half = disk_needed(["palette"], info=info(frame_count=100), frames=50, written=5_000_000, left=4_000_000)
    assert half == "about 7.2 MB more are needed for all 100 frames"
    start = disk_needed(["prores"], info=info(frame_count=100, height=1080, width=1920), frames=0, written=0, left=0)
    assert start == "about 112 MB more are needed for all 100 frames"
    # At the beginning most is held back: the estimate of the formats counts if it is larger.
    early = disk_needed(
        ["prores"], info=info(frame_count=100, height=1080, width=1920), frames=1, written=5_000, left=5_000
    )
    assert early == start
    assert bytes_below(tmp_path / "nothing") == 0


def test_a_disk_that_takes_no_more_files(tmp_path: Path, info, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = os.statvfs(tmp_path)
    full = SimpleNamespace(f_files=25, f_favail=0, f_bavail=disk.f_bavail, f_frsize=disk.f_frsize, f_blocks=9**9)
    monkeypatch.setattr("covos.runs.room.os.statvfs", lambda path: full)
    with pytest.raises(EnvironmentProblem, match="no more files"):
        refuse_small_disk(["palette"], info=info(frame_count=9), folder=tmp_path / "out")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_the_error_of_a_full_disk_says_so(
    tmp_path: Path, info, result, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    from covos.core import files

    def full(path: Path) -> None:
        if path.suffix == ".png" and "00003" in path.name:
            raise OSError(code, "no room")

    monkeypatch.setattr(files, "_flush", full)
    writing = Writing(
        info=info(),
        health=lambda: Health(decoded=5, expected=5),
        folder=OutputFolder(tmp_path / "out"),
        formats=["palette"],
        origin=ORIGIN,
    )
    frames = [result(index) for index in range(5)]
    with pytest.raises(EnvironmentProblem) as caught:
        write_results(frames, writing)
    assert is_disk_full(caught.value)
    assert "more are needed for all 5 frames" in caught.value.why
    assert not list(tmp_path.rglob("*.partial*"))
    assert not is_disk_full(ValueError("full"))
