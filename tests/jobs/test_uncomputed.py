"""A network that gives no numbers: such frames are told, and never pass for frames without an object."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import covos
from covos import cli
from covos.engines import find, follow_pass


def poison(monkeypatch: pytest.MonkeyPatch, place: Any, name: str, *, value: float, at: set[int]) -> None:
    """Make a function's tensor one of a bad value, at some of its calls."""
    sound, count = getattr(place, name), itertools.count()

    def poisoned(*arguments: Any, **more: Any) -> Any:
        found = sound(*arguments, **more)
        return torch.full_like(found, value) if next(count) in at else found

    monkeypatch.setattr(place, name, poisoned)


def segment(clip: Path, out: Path, *more: str) -> tuple[int, dict[str, Any]]:
    code = cli.main(["segment", str(clip), "-o", str(out), "-f", "palette", "-f", "matte", "-q", *more])
    return code, json.loads((out / "report.json").read_text())


def masks(out: Path) -> Iterator[np.ndarray]:
    return (np.asarray(Image.open(path)) for path in sorted((out / "masks").iterdir()))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_subject_that_is_not_computed(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], value: float
) -> None:
    poison(monkeypatch, find, "mean_logit", value=value, at={0, 3, 4})
    code, report = segment(clip, tmp_path / "out")
    said = capsys.readouterr().err
    assert code == 4
    assert "no numbers" in said
    assert "--precision fp32" in said
    rows = report["frames"]
    assert [row["index"] for row in rows if row["status"] == "uncomputed"] == [0, 3, 4]
    assert [row["confidence"] is None for row in rows] == [row["status"] == "uncomputed" for row in rows]
    assert all("uncertain" in row["flags"] for row in rows if row["status"] == "uncomputed")
    assert any("3 frames" in text for text in report["warnings"])
    every = list(masks(tmp_path / "out"))
    assert not every[0].any()
    np.testing.assert_array_equal(every[3], every[2])
    np.testing.assert_array_equal(every[4], every[2])
    # The same is said of what is there already, and can be taken for success.
    assert segment(clip, tmp_path / "out")[0] == 4
    assert segment(clip, tmp_path / "out", "--allow-errors")[0] == 0


def test_every_frame(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    poison(monkeypatch, find, "mean_logit", value=math.nan, at=set(range(99)))
    code, report = segment(clip, tmp_path / "out", "--refine", "crf")
    assert code == 4
    assert all(row["status"] == "uncomputed" for row in report["frames"])


def test_objects_that_are_not_computed(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mask = np.zeros((48, 64), np.uint8)
    mask[12:28, 0:16] = 1
    Image.fromarray(mask).save(tmp_path / "m.png")
    poison(monkeypatch, follow_pass, "aggregate", value=math.nan, at={3})
    code, report = segment(clip, tmp_path / "out", "--mask", str(tmp_path / "m.png"))
    assert code == 4
    assert report["frames"][0]["status"] == "ok"
    assert "uncomputed" in {row["status"] for row in report["frames"]}
    np.testing.assert_array_equal(next(masks(tmp_path / "out")), mask)


def test_in_memory(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    poison(monkeypatch, find, "mean_logit", value=math.nan, at={2})
    heard: list[covos.Warned] = []
    job = covos.Job(covos.Plan(source=clip, device="cpu"))
    result = job.run(lambda event: heard.append(event) if isinstance(event, covos.Warned) else None)
    assert [frame.status for frame in result][:4] == ["ok", "ok", "uncomputed", "ok"]
    assert "1 frame" in heard[0].text


def test_a_stopped_run_keeps_what_was_not_computed(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    poison(monkeypatch, find, "mean_logit", value=math.nan, at={1})
    job = covos.Job(covos.Plan(source=clip, device="cpu", formats=("palette",)), tmp_path / "out")
    for event in job:
        if isinstance(event, covos.FrameDone) and event.index == 5:
            job.cancel()
    monkeypatch.undo()
    saved = covos.Job(covos.Plan(source=clip, device="cpu", formats=("palette",)), tmp_path / "out").run()
    assert saved.resumed > 1
    assert saved.uncomputed == 1


@pytest.mark.parametrize("way", ["forward", "both", "stream"])
def test_a_session(clip: Path, random_follower: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    mask = np.zeros((48, 64), np.uint8)
    mask[12:28, 0:16] = 1
    with covos.load_model(device="cpu").session(clip, follower=random_follower) as session:
        session.add_labels(0, labels=mask)
        poison(monkeypatch, follow_pass, "aggregate", value=math.nan, at={3})
        if way == "stream":
            results = list(session.stream())
            assert all(np.isfinite(each.probability).all() for each in results)
            statuses = [each.frame.status for each in results]
        else:
            statuses = [each.status for each in session.propagate(way)]
        assert "uncomputed" in statuses
        assert [each.status for each in session.result()] == statuses
