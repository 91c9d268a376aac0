"""The examples of docs/jobs.md run as they are printed."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import covos

PAGE = Path(__file__).parents[2] / "docs" / "jobs.md"


@pytest.mark.slow
def test_the_examples_run(
    make_clip: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("clip", "a", "b"):
        make_clip(f"{name}.mp4", frames=5)
    frames = [np.full((48, 64, 3), 40 * index, np.uint8) for index in range(3)]
    Image.fromarray(frames[1]).save("photo.jpg")
    labels = np.zeros((48, 64), np.uint8)
    labels[10:30, 10:30] = 1
    Image.fromarray(labels).save("00040.png")
    names: dict[str, Any] = {
        "covos": covos,
        "Image": Image,
        "frames": frames,
        "my_reader": iter(frames),
        "upload": io.BytesIO(Path("clip.mp4").read_bytes()),
        "labels": labels,
    }
    made, json, job, cache, sources = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    exec(made, names)
    assert isinstance(names["plan"].task, covos.Follow)
    exec(json, names)
    names["plan"] = covos.Plan(source="clip.mp4", formats=("palette",))
    exec(job, names)
    assert "5 of 5" in capsys.readouterr().out
    exec(cache, names)
    assert Path("out/b.mp4/report.json").is_file()
    exec(sources, names)
    assert covos.segment("clip.mp4", masks=labels).object_ids == (1,)


def test_the_table_has_each_field_of_a_plan_once() -> None:
    _, _, table = PAGE.read_text(encoding="utf-8").partition("| field | value |\n")
    rows = re.findall(r"^\| (`.*?`) \|", table.partition("\n\n")[0], re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(covos.Plan.model_fields)
