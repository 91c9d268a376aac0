"""The shell blocks of the pages that a user meets first run as they are printed, on a small clip.

Places and frames are smaller, as the clip is. Each command begins without its output, except for those that go on with
it. `SKIPPED` lists what cannot run here; `tests/test_docs.py` checks the options of all pages.
"""

from __future__ import annotations

import csv
import json
import re
import shlex
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image

from clips import bright_clip
from covos.cli import main
from covos.models.lite import CovosLite
from loaded import ROOT

TIANCHI = ROOT / "tests" / "fixtures" / "tianchi"
WEIGHTS = ROOT / "src" / "covos" / "models" / "weights"
SCALE = 12
"""The pages speak of a clip that is so many times as large, in width and in height."""
SPEED = 5
"""The frames that they name are so many times as late."""
PLACES = {"--point", "--not-point", "--box", "--within", "--exclude-box"}
SKIPPED = {
    "pip ": "fetches packages",
    "make demo": "sets up an environment",
    ". .venv": "a command of the shell",
    "docker ": "builds an image",
    "cat ": "a pipe of two programs: tests/cli/test_stream.py",
    "covos stream /dev": "needs a camera",
    "covos open": "waits for a browser: tests/serve",
    "covos serve": "waits for a browser: tests/serve",
    "covos export": "takes half a minute: tests/cli/test_export.py",
    "covos train": "takes hours: tests/training",
    "covos reproduce": "needs DAVIS, whole: tests/cli/test_reproduce.py",
    "covos models convert": "needs a checkpoint of others: tests/models",
    "covos segment clip.mp4 -o out/ -m cosnet": "needs that checkpoint",
    "covos batch clips.csv -o out --ray": "needs a cluster: tests/fleet/test_cluster.py",
}
"""How a command begins that is not run, and why."""
PAGES = [
    "start",
    "for-editors",
    "for-annotators",
    "for-researchers",
    "for-engineers",
    "follow",
    "formats",
    "resume",
    "trim",
]
GO_ON = {("resume", 0), ("start", 4)}
"""Blocks that add to what is there."""
TWO = "covos segment clip.mp4 -o out/ --mask 00000.png"
BEFORE = {
    ("start", 4): ["covos segment clip.mp4 -o out/"],
    ("for-annotators", 2): ["covos segment clip.mp4 -o export.xml --mask 00000.png -f cvat"],
    ("follow", 1): ["covos segment clip.mp4 -o clip.webm"],
    ("follow", 2): [TWO],
}
"""What the reader of a block has done before it."""
ENDINGS = {"01:00:20:00": "01:00:12:09", "f31": "f35"}
"""Ends of parts that would be too late in a clip so short, or no frame later than their beginnings."""


def blocks(page: str) -> list[list[str]]:
    """The commands of each shell block of a page."""
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    found = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return [[re.split(r"\s+#\s", line)[0].strip() for line in block.splitlines() if line.strip()] for block in found]


def small(words: list[str]) -> list[str]:
    """A command whose places and frames are those of the small clip."""
    made = []
    for option, word in zip(["", *words], words, strict=False):
        new = ENDINGS.get(word, word)
        if option in PLACES:
            place, at, frame = word.partition("@")
            new = ",".join(str(int(each) // SCALE) for each in place.split(",")) + at + frame
        if option in PLACES | {"--mask"}:
            new = re.sub(r"@(\d+)", lambda found: f"@{int(found[1]) // SPEED}", new)
        if option in {"--start", "--end"}:
            new = re.sub(r"^f(\d+)$", lambda found: f"f{int(found[1]) // SPEED}", new)
        made.append(new)
    return made


@pytest.fixture(scope="module")
def materials(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the pages name."""
    folder = tmp_path_factory.mktemp("materials")
    bright_clip(folder / "clip.mp4", frames=10, rate=Fraction(1, 7))
    for name in ("a.mp4", "long.mp4", "beach.mp4"):
        shutil.copy(folder / "clip.mp4", folder / name)
    (folder / "clips").mkdir()
    shutil.copy(folder / "clip.mp4", folder / "clips")
    with av.open(str(folder / "clip.mov"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        stream.metadata["timecode"] = "01:00:12:00"
        for grey in range(10):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 * grey, np.uint8))))
        container.mux(stream.encode())
    shutil.copy(folder / "clip.mov", folder / "b.mov")
    (folder / "examples").mkdir()
    shutil.copy(folder / "clip.mp4", folder / "examples" / "car.mp4")
    pictures = [np.random.default_rng(index).integers(0, 255, (48, 64, 3), np.uint8) for index in range(10)]
    labels = np.zeros((48, 64), np.uint8)
    labels[12:28, :16], labels[30:44, 30:44] = 2, 1  # the second moves
    one = (labels == 2).astype(np.uint8) * 255
    for name in ("00000", "00020"):
        Image.fromarray(labels).save(folder / f"{name}.png")
    for name in ("dog", "man", "fix"):
        Image.fromarray(one if name != "man" else (labels == 1).astype(np.uint8) * 255).save(folder / f"{name}.png")
    Image.fromarray(pictures[0]).save(folder / "photo.jpg")
    for place in ("frames", "DAVIS/JPEGImages/480p/dog", "masks", "DAVIS/Annotations/480p/dog", "results/dog"):
        (folder / place).mkdir(parents=True)
        for index, picture in enumerate(pictures):
            if place in ("frames", "DAVIS/JPEGImages/480p/dog"):
                Image.fromarray(picture).save(folder / place / f"{index:05}.jpg")
            else:
                Image.fromarray(one if "DAVIS" in place else one // 255).save(folder / place / f"{index:05}.png")
    (folder / "DAVIS/ImageSets/480p").mkdir(parents=True)
    rows = (f"/JPEGImages/480p/dog/{index:05}.jpg /Annotations/480p/dog/{index:05}.png\n" for index in range(10))
    (folder / "DAVIS/ImageSets/480p/val.txt").write_text("".join(rows))
    for name in ("ROOT", "TIANCHI", "OTHER"):
        shutil.copytree(TIANCHI, folder / name)
    hidden = shutil.ignore_patterns("600103", "test.txt")  # its annotations are not public
    shutil.copytree(TIANCHI, folder / "GT", ignore=hidden)
    shutil.copytree(TIANCHI / "Annotations", folder / "PRED", ignore=hidden)
    (folder / "OTHER/ImageSets/val.txt").write_text("600101\n")
    for name in ("mine", "lite"):
        (folder / "runs" / name).mkdir(parents=True)
        for suffix in ("json", "safetensors"):
            shutil.copy(WEIGHTS / f"covos-lite.{suffix}", folder / "runs" / name / f"best.{suffix}")
    shown = {"points": [{"frame": 0, "object": 1, "positive": [[6, 18]]}]}
    (folder / "objects.json").write_text(json.dumps(shown))
    with (folder / "clips.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["input", "prompts"], ["clip.mp4", "objects.json"]])
    return folder


@pytest.fixture
def _wide_subject(monkeypatch: pytest.MonkeyPatch) -> None:
    """The subject is most of each frame: a point on what is no part of it would be refused."""
    segment = CovosLite.segment

    def find(*given: Any, **named: Any) -> torch.Tensor:
        logits = torch.full_like(segment(*given, **named), -8.0)
        logits[..., : logits.shape[-1] * 3 // 4] = 8.0
        return logits

    monkeypatch.setattr(CovosLite, "segment", find)


@pytest.mark.slow
@pytest.mark.usefixtures("small_networks", "_wide_subject")
@pytest.mark.filterwarnings("ignore:warning")
@pytest.mark.parametrize("page", PAGES)
def test_commands_run(
    page: str, materials: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "work"
    shutil.copytree(materials, folder)
    monkeypatch.chdir(folder)
    if page == "trim":
        bright_clip(Path("clip.mp4"), frames=100, rate=Fraction(3, 2))
    done = 0
    for number, block in enumerate(blocks(page)):
        for line in BEFORE.get((page, number), []) + block:
            if line.startswith(tuple(SKIPPED)):
                continue
            words = small(shlex.split(line)[1:])
            output = Path(words[words.index("-o") + 1]) if "-o" in words else None
            if output is not None and (page, number) not in GO_ON:
                shutil.rmtree(output) if output.is_dir() else output.unlink(missing_ok=True)
            assert main(words) == 0, (line, words, capfd.readouterr().err)
            assert output is None or output.exists(), line
            done += 1
    assert done > 0


def test_what_is_skipped_is_on_a_page() -> None:
    lines = [line for page in PAGES for block in blocks(page) for line in block]
    assert all(any(line.startswith(beginning) for line in lines) for beginning in SKIPPED)
    assert all(line.startswith("covos ") for line in lines if not line.startswith(tuple(SKIPPED)))


def test_tests_that_stand_in_for_what_is_skipped_are_there() -> None:
    named = [path for reason in SKIPPED.values() for path in re.findall(r"tests/\S+", reason)]
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []
