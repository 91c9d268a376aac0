"""A whole run on a disk that fills up, at several points and in every format: a clear end, and whole files only."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from covos.formats.table import FORMATS

pytest.importorskip("resource")

_LIMITS = [0, 40, 150, 700, 1500, 4000, 20_000, 10_000_000]

# One process tries every format at every limit: loading the libraries takes longer than all of it.
_RUN = """
import json, resource, sys
from fractions import Fraction
from pathlib import Path
import numpy as np
from covos.core.errors import EnvironmentProblem
from covos.media.source import Health
from covos.formats.table import make_writer
from covos.runs.folder import OutputFolder
from covos.runs.report import Origin, Report
from covos.runs.writing import BackgroundWriters
from covos.core.types import Frame, FrameResult, SourceInfo

root, limits, formats = Path(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3:]
info = SourceInfo(path="x", kind="video", height=48, width=64, frame_count=8, frame_rate=Fraction(25), duration=None,
                  time_base=Fraction(1, 25))
images = np.random.default_rng(0).integers(0, 256, (8, 48, 64, 3), dtype=np.uint8)
labels = np.zeros((48, 64), np.uint8)
labels[10:40, 10:50] = 1


def run(name, path):
    folder = OutputFolder(path)
    report = Report(info=info, origin=Origin(model="m", sha256="0", device="cpu", settings={}))
    with BackgroundWriters([make_writer(name, folder, info=info, source_path=path)]) as background:
        for index, image in enumerate(images):
            frame = Frame(index=index, stem=f"{index:05d}", image=image, pts=index, time_base=info.time_base)
            probability = labels * np.float32(0.9)
            result = FrameResult(frame=frame, probability=probability, labels=labels, confidence=1.0)
            background.write(result)
            report.add(result, seconds=0.0)
        outputs = background.close()
    report.save(folder, health=Health(decoded=8, expected=8), seconds=1, outputs=outputs)


outcomes = []
for name in formats:
    for limit in limits:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        try:
            run(name, root / name / str(limit))
            outcome = "done"
        except EnvironmentProblem as error:
            outcome = str(error)
        outcomes.append((name, limit, outcome))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(json.dumps(outcomes))
"""


def test_a_full_disk_ends_every_format_cleanly(tmp_path: Path, tree) -> None:
    command = [sys.executable, "-c", _RUN, str(tmp_path), json.dumps(_LIMITS), *FORMATS]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    failed = set()
    for name, limit, outcome in json.loads(done.stdout):
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
