from __future__ import annotations

import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from covos.cli import main

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def davis(tmp_path: Path) -> Path:
    """A DAVIS-2016 tree of two sequences; one in val."""
    root = tmp_path / "davis"
    rng = np.random.default_rng(0)
    for name in ("held", "other"):
        for index in range(5):
            image = rng.integers(0, 80, (60, 100, 3), dtype=np.uint8)
            truth = np.zeros((60, 100), np.uint8)
            cv2.circle(truth, (30 + 8 * index, 30), 14, 255, -1)
            image[truth > 0] = (20, 160, 250)
            for kind, suffix, picture in (("JPEGImages", "jpg", image), ("Annotations", "png", truth)):
                folder = root / kind / "480p" / name
                folder.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(folder / f"{index:05}.{suffix}"), picture)
    lists = root / "ImageSets" / "480p"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("held\n")
    (lists / "train.txt").write_text("other\n")
    return root


def run(davis: Path, out: Path, *more: str) -> int:
    options = ["--device", "cpu", "--precision", "fp32", *more]
    return main(["reproduce", "davis2016", "--data", str(davis), "-o", str(out), *options])


def test_a_benchmark_in_one_command_beside_published_rows(davis: Path, tmp_path: Path, capsys: Capture) -> None:
    assert run(davis, tmp_path / "out") == 0
    first = capsys.readouterr().out
    row = re.search(r"^covos-lite +([\d.]+) +([\d.]+) +([\d.]+)  this run, 1 sequence of val$", first, re.MULTILINE)
    assert row is not None, first
    jf, j, f = map(float, row.groups())
    assert jf == pytest.approx((j + f) / 2, abs=0.11)
    assert "COSNet with CRF" in first
    assert (
        main(["evaluate", str(tmp_path / "out"), "--gt", str(davis), "--subset", "val", "--protocol", "davis2016"]) == 0
    )
    assert capsys.readouterr().out.strip() in first


def test_what_is_done_is_not_done_again(davis: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "out"
    assert run(davis, out) == 0
    first = capsys.readouterr()
    mask = out / "Annotations" / "held" / "00002.png"
    before = mask.stat().st_mtime_ns
    assert run(davis, out) == 0
    second = capsys.readouterr()
    assert second.out == first.out
    assert "held" in second.err.splitlines()[0]
    assert "already" in second.err
    assert mask.stat().st_mtime_ns == before
    mask.unlink()
    assert run(davis, out, "-q") == 0
    assert capsys.readouterr().out == first.out
    assert mask.is_file()
    assert run(davis, out, "--references", "1") == 2
    assert "references: 5 before, 1 now" in capsys.readouterr().err


def test_a_list_that_is_not_there_is_named(davis: Path, tmp_path: Path, capsys: Capture) -> None:
    assert run(davis, tmp_path / "out", "--subset", "test") == 2
    assert "its lists are: train, val" in capsys.readouterr().err
    (davis / "ImageSets" / "480p" / "val.txt").unlink()
    assert run(davis, tmp_path / "out") == 3
    assert not (tmp_path / "out").exists()
    assert run(davis, tmp_path / "out", "--subset", "train") == 0
    assert "not for train" in capsys.readouterr().out


def test_a_tree_without_lists_is_taken_whole(davis: Path, tmp_path: Path, capsys: Capture) -> None:
    shutil.rmtree(davis / "ImageSets")
    assert run(davis, tmp_path / "out") == 0
    assert "this run, 2 sequences of no list" in capsys.readouterr().out


def test_of_two_lists_of_one_name_that_of_2016_is_meant(davis: Path, tmp_path: Path, capsys: Capture) -> None:
    """Both for what is predicted and for what is scored."""
    for year, name in (("2016", "held"), ("2017", "other")):
        (davis / "ImageSets" / year).mkdir()
        (davis / "ImageSets" / year / "val.txt").write_text(f"{name}\n")
    for options in ([], ["--subset", "val"]):
        out = tmp_path / f"out{len(options)}"
        assert run(davis, out, *options) == 0
        assert "this run, 1 sequence of val" in capsys.readouterr().out
        assert [path.name for path in (out / "Annotations").iterdir()] == ["held"]


def test_a_sequence_that_cannot_be_read_is_not_scored_around(davis: Path, tmp_path: Path, capsys: Capture) -> None:
    (davis / "ImageSets" / "480p" / "val.txt").write_text("held\nother\n")
    (davis / "JPEGImages" / "480p" / "held" / "00001.jpg").write_bytes(b"no picture")
    assert run(davis, tmp_path / "out") == 4
    said = capsys.readouterr()
    assert said.out == ""
    assert "1 of 2 videos failed: held" in said.err


def test_a_sequence_with_a_picture_that_is_painted_over_is_scored_and_told(
    davis: Path, tmp_path: Path, capsys: Capture
) -> None:
    frame = davis / "JPEGImages" / "480p" / "held" / "00002.jpg"
    content = bytearray(frame.read_bytes())
    middle = len(content) * 2 // 3
    content[middle : middle + 90] = bytes(90)
    frame.write_bytes(content)
    assert run(davis, tmp_path / "out") == 4
    said = capsys.readouterr()
    assert "this run, 1 sequence of val" in said.out
    assert "frames are missing or damaged in held" in said.err
    assert run(davis, tmp_path / "out", "--allow-errors") == 0
