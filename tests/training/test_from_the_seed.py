"""The listings of docs/from-the-seed.md run as they are printed."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

import covos
from covos.cli import main

AT_FULL_SIZE = True
"""See `conftest.py`."""
PAGE = Path(__file__).parents[2] / "docs" / "from-the-seed.md"

pytestmark = pytest.mark.usefixtures("narrow")


@pytest.fixture(autouse=True)
def _tree(tianchi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(tianchi, tmp_path / "TIANCHI")
    monkeypatch.chdir(tmp_path)


@pytest.mark.filterwarnings("ignore:warning")
def test_the_listing_in_python_runs(capsys: pytest.CaptureFixture[str]) -> None:
    _, listing = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(listing, names)
    assert (names["image"].shape, names["labels"].shape) == ((180, 320, 3), (180, 320))
    count = len(names["video"].annotated)
    assert len(names["pairs"]) == count * (count - 1) // 2
    assert "Scored(step=" in capsys.readouterr().out
    held_back = [video.name for video in names["validation"]]
    assert [made.name for made in names["made"].made] == held_back
    assert [scored.name for scored in names["scores"].sequences] == held_back
    assert Path("sheet.png").is_file()
    assert len(list(Path("out/masks").glob("*.png"))) == len(names["masks"])
    assert Path("handed-in/submission.zip").is_file()


def test_the_listing_in_the_shell_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (listing,) = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    commands = [shlex.split(line, comments=True) for line in listing.splitlines()]
    ours = [words for words in commands if words[0] == "covos"]
    assert len(ours) == len(commands) - 1  # TensorBoard's is a program of its own
    for _, *words in ours:
        assert main(words) == 0, words
    assert re.search(r"^all .*", capsys.readouterr().out, re.MULTILINE)
    assert Path("submission/submission.zip").is_file()


def test_a_small_tree_is_made_of_the_example_clip(tmp_path: Path) -> None:
    shutil.rmtree("TIANCHI")
    shutil.copytree(PAGE.parents[1] / "examples", "examples", ignore=shutil.ignore_patterns("*.py"))
    listing, _ = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    exec(listing, {})
    dataset = covos.data.open_dataset("TIANCHI")
    assert dataset.layout == "tianchi"
    assert dataset.splits == {"train": ("600101", "600102"), "test": ("600103",)}
    assert [len(video.annotated) for video in dataset] == [5, 5, 1]
    assert all(sample.ids for sample in dataset["600101"])
