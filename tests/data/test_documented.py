"""The examples of docs/data.md run as they are printed."""

from __future__ import annotations

import re
import shutil
import textwrap
from pathlib import Path
from typing import Any

import pytest

from covos.cli import main

PAGE = Path(__file__).parents[2] / "docs" / "data.md"


@pytest.fixture
def names(tianchi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    shutil.copytree(tianchi, tmp_path / "TIANCHI")
    monkeypatch.chdir(tmp_path)
    return {}


def test_the_examples_run_and_their_comments_are_true(
    names: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    text = PAGE.read_text()
    opened, split, read, look, measure, loaded, varied, packed = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(opened, names)
    dataset = names["dataset"]
    assert f"# {dataset!r}\n" in opened
    assert f"# {dataset.splits}\n" in opened
    exec(split, names)
    assert [video.name for video in names["measured"]] == [video.name for video in names["validation"]]
    exec(read, names)
    assert f"# {capsys.readouterr().out.splitlines()[0]}\n" in read
    assert (names["image"].shape, names["labels"].shape) == ((90, 160, 3), (90, 160))
    exec(look, names)
    assert Path("sheet.png").is_file()
    exec(measure, names)
    (shown,) = re.findall(r"```text\n(.*?)\n```", text, re.DOTALL)
    assert shown in capsys.readouterr().out
    exec(loaded, names)
    assert f"# {len(names['frames'])}, {len(names['pairs'])}, {len(names['groups'])}\n" in loaded
    assert names["image"].shape[1:] == (2, 3, 90, 160)
    exec(varied, names)
    said = re.search(r"varied\[0\] +# (.*)", varied)
    assert said is not None
    shapes = (" x ".join(map(str, names[each].shape)) for each in ("image", "mask"))
    assert said[1] == ", ".join(shapes)
    assert names["alike"][0].image.shape == (2, 3, 90, 160)
    before = names["dataset"]
    exec(packed, names)
    assert repr(names["dataset"]) == repr(before)
    assert names["packed"].files == 30


@pytest.mark.usefixtures("names")
def test_the_commands_run() -> None:
    commands, packing = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    lines = [line.split("#")[0].split() for line in textwrap.dedent(commands).splitlines()]
    lines += [line.replace("YOUTUBE_VOS", "TIANCHI").split() for line in packing.splitlines() if " data " in line]
    assert len(lines) == 8
    for _, *words in lines:
        if words[:2] == ["data", "pack"]:
            shutil.rmtree("shards", ignore_errors=True)  # the page packs twice
        assert main(words) == 0, words
    assert Path("numbers.json").is_file()
    assert Path("preview.png").is_file()
