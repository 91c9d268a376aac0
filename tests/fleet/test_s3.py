"""A batch whose clips and results lie on a server that speaks S3."""

from __future__ import annotations

import csv
import io
import multiprocessing
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from checked_output import check_output
from covos.cli import main
from covos.runs.schema import load_report
from s3_server import s3_server


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    # Workers begin anew: a server of processes that another test has started does not know this address.
    monkeypatch.setattr("covos.core.process.CONTEXT", multiprocessing.get_context("spawn"))
    with s3_server(monkeypatch) as system:
        yield system


def rows(system: Any, place: str) -> dict[str, str]:
    lines = csv.DictReader(io.StringIO(system.cat_file(place).decode()))
    return {row["name"]: row["status"] for row in lines}


@pytest.mark.slow
def test_a_batch_reads_and_writes_s3(make_clip, tmp_path: Path, bucket: Any, capfd: pytest.CaptureFixture) -> None:
    for name in ("a.mp4", "b.mp4"):
        bucket.put_file(str(make_clip(name, frames=3)), f"bucket/clips/{name}")
    with tarfile.open(tmp_path / "more.tar", "w") as tar:
        tar.add(tmp_path / "a.mp4", "day/c.mp4")
    bucket.put_file(str(tmp_path / "more.tar"), "bucket/more.tar")
    bucket.pipe_file("bucket/clips/bad.mp4", b"no video")
    command = ["batch", "s3://bucket/clips/*.mp4", "s3://bucket/more.tar", "-o", "s3://bucket/out", "--workers", "2"]
    command += ["-f", "palette", "--device", "cpu"]
    assert main(command) == 4
    done = {"a": "done", "b": "done", "bad": "failed", "more/day/c": "done"}
    assert rows(bucket, "bucket/out/batch.csv") == done
    for name in ("a", "b", "more/day/c"):
        bucket.get(f"bucket/out/{name}/", str(tmp_path / "back" / name), recursive=True)
        assert check_output(tmp_path / "back" / name) == []
        assert load_report(tmp_path / "back" / name).totals.frames == 3
    assert not bucket.exists("bucket/out/bad")
    # The same command goes on: what is done is known by its report, and what failed is tried again.
    bucket.put_file(str(tmp_path / "b.mp4"), "bucket/clips/bad.mp4")
    assert main(command) == 0
    assert rows(bucket, "bucket/out/batch.csv") == dict.fromkeys(done, "done before") | {"bad": "done"}


@pytest.mark.slow
def test_a_manifest_and_a_folder_lie_on_s3(
    make_clip, tmp_path: Path, bucket: Any, capfd: pytest.CaptureFixture
) -> None:
    clip = make_clip("a.mp4", frames=3)
    bucket.put_file(str(clip), "bucket/lists/day/a.mp4")
    for name, shade in (("0.png", 60), ("1.png", 90)):
        Image.new("RGB", (64, 48), (shade, shade, shade)).save(tmp_path / name)
        bucket.put_file(str(tmp_path / name), f"bucket/lists/day/frames/{name}")
    bucket.pipe_file("bucket/lists/without.json", b'{"exclude": [{"box": [0, 0, 8, 8]}]}')
    bucket.pipe_file("bucket/lists/m.csv", b"input,name,prompts,camera\nday/a.mp4,listed,without.json,left\n")
    command = ["batch", "s3://bucket/lists/m.csv", "s3://bucket/lists/day", "-o", "s3://bucket/out"]
    command += ["-f", "palette", "--device", "cpu", "--workers", "1"]
    assert main(command) == 0
    assert rows(bucket, "bucket/out/batch.csv") == dict.fromkeys(("listed", "a", "frames"), "done")
    for name, frames in (("listed", 3), ("frames", 2)):
        bucket.get(f"bucket/out/{name}/", str(tmp_path / "back" / name), recursive=True)
        assert check_output(tmp_path / "back" / name) == []
        assert load_report(tmp_path / "back" / name).totals.frames == frames


def test_a_manifest_that_is_not_on_s3(tmp_path: Path, bucket: Any, capfd: pytest.CaptureFixture) -> None:
    assert main(["batch", "s3://bucket/gone.csv", "-o", str(tmp_path / "out"), "--device", "cpu"]) == 3
    assert "s3://bucket/gone.csv: it is not there" in capfd.readouterr().err


def test_a_bucket_that_is_not_there(tmp_path: Path, bucket: Any, capfd: pytest.CaptureFixture) -> None:
    assert main(["batch", "s3://elsewhere/*.mp4", "-o", str(tmp_path / "out"), "--device", "cpu"]) == 3
    said = capfd.readouterr().err
    assert "error: s3://elsewhere/*.mp4" in said
    assert "Traceback" not in said
