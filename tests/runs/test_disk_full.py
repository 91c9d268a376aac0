"""A whole run on a disk that fills up, at several points and in every format: a clear end, and whole files only."""

import json
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from covos.core.errors import EnvironmentProblem
from covos.core.types import Frame, FrameResult, SourceInfo
from covos.formats.background_writers import BackgroundWriters
from covos.formats.table import FORMATS, make_writer
from covos.media.source import Health
from covos.runs.folder import OutputFolder
from covos.runs.report import Origin, Report

resource = pytest.importorskip("resource")

from children import in_child  # noqa: E402  it needs POSIX

SIZE = (48, 64)
INFO = SourceInfo(
    path="x",
    kind="video",
    height=SIZE[0],
    width=SIZE[1],
    frame_count=8,
    frame_rate=Fraction(25),
    duration=None,
    time_base=Fraction(1, 25),
)
_LIMITS = [0, 150, 1500, 20_000, 10_000_000]


def write(name: str, path: Path) -> None:
    """Write a run of eight frames in a format."""
    images = np.random.default_rng(0).integers(0, 256, (8, *SIZE, 3), dtype=np.uint8)
    labels = np.zeros(SIZE, np.uint8)
    labels[10:40, 10:50] = 1
    folder = OutputFolder(path)
    report = Report(info=INFO, origin=Origin(model="m", sha256="0", device="cpu", settings={}))
    with BackgroundWriters([make_writer(name, folder, info=INFO, source_path=path)]) as background:
        for index, image in enumerate(images):
            frame = Frame(index=index, stem=f"{index:05d}", image=image, pts=index, time_base=INFO.time_base)
            probability = labels * np.float32(0.9)
            result = FrameResult(frame=frame, probability=probability, labels=labels, confidence=1.0)
            background.write(result)
            report.add(result, seconds=0.0)
        outputs = background.close()
    report.save(folder, health=Health(decoded=8, expected=8), seconds=1, outputs=outputs)


def outcomes_in(root: Path) -> list[tuple[str, int, str]]:
    """Try every format at every limit: "done", or the text of the error."""
    outcomes = []
    for name in FORMATS:
        for limit in _LIMITS:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            try:
                write(name, root / name / str(limit))
                outcome = "done"
            except EnvironmentProblem as error:
                outcome = str(error)
            outcomes.append((name, limit, outcome))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return outcomes


def test_a_full_disk_ends_every_format_cleanly(tmp_path: Path, tree) -> None:
    child = in_child(lambda: outcomes_in(tmp_path), seconds=300)
    assert child.end == "answered", child.answer
    failed = set()
    for name, limit, outcome in child.answer:
        folder = tmp_path / name / str(limit)
        left = tree(folder) if folder.exists() else []
        assert not [file for file in left if "partial" in file], (name, limit)
        if outcome == "done":
            assert "report.json" in left, (name, limit)
            continue
        failed.add(name)
        assert limit < _LIMITS[-1], outcome
        assert "written" in outcome.splitlines()[0], outcome
        assert str(folder) in outcome
        assert "report.json" not in left
        for file in left:
            is_whole(folder / file)
    assert failed == set(FORMATS)


def is_whole(path: Path) -> None:
    """A format with a file a frame leaves those of earlier frames; a format that failed on the report is done."""
    if path.suffix in {".png", ".webp"}:
        with Image.open(path) as image:
            image.load()
    elif path.suffix == ".npz":
        with np.load(path) as content:
            assert content["masks"].shape == (8, 48, 64)
    elif path.suffix == ".json":
        json.loads(path.read_text())
    elif path.suffix == ".xml":
        ElementTree.parse(path)
    elif path.suffix == ".txt":
        assert path.read_text() == "" or path.read_text().endswith("\n")
    else:
        assert path.stat().st_size > 700
