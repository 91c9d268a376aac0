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


def test_a_bucket_that_is_not_there(tmp_path: Path, bucket: Any, capfd: pytest.CaptureFixture) -> None:
    assert main(["batch", "s3://elsewhere/*.mp4", "-o", str(tmp_path / "out"), "--device", "cpu"]) == 3
    said = capfd.readouterr().err
    assert "error: s3://elsewhere/*.mp4" in said
    assert "Traceback" not in said
