"""A whole run on a disk that fills up, at several points: a clear end, and whole files only."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from covos.errors import EnvironmentProblem
from covos.masks import read_label_map

_RUN = """
import resource, sys
from fractions import Fraction
from pathlib import Path
import numpy as np
from covos.errors import EnvironmentProblem
from covos.media import Health
from covos.outputs import FORMATS, BackgroundWriters, OutputFolder, Report, make_writer
from covos.types import Frame, FrameResult, SourceInfo

path, limit = Path(sys.argv[1]), int(sys.argv[2])
info = SourceInfo(path="x", kind="video", height=96, width=128, frame_count=20, frame_rate=Fraction(25), duration=None,
                  time_base=Fraction(1, 25))
rng = np.random.default_rng(0)
folder = OutputFolder(path)
report = Report(info=info, model="m", sha256="0", device="cpu")
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    writers = [make_writer(name, folder, info=info, source_path=path) for name in FORMATS]
    with BackgroundWriters(writers) as background:
        for index in range(20):
            image = rng.integers(0, 256, (96, 128, 3), dtype=np.uint8)
            frame = Frame(index=index, stem=f"{index:05d}", image=image, pts=index, time_base=info.time_base)
            labels = np.zeros((96, 128), np.uint8)
            labels[20:60, 20:60] = 1
            result = FrameResult(frame=frame, probability=labels.astype(np.float32), labels=labels, confidence=1.0)
            background.write(result)
            report.add(result, seconds=0.0)
        outputs = background.close()
    report.save(folder, health=Health(decoded=20, expected=20), seconds=1, outputs=outputs)
except EnvironmentProblem as error:
    print(error)
    sys.exit(error.exit_code)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX limits")
@pytest.mark.parametrize("limit", [0, 40, 150, 700, 1500, 20_000, 150_000])
def test_a_full_disk_ends_the_run_cleanly(tmp_path: Path, tree, limit: int) -> None:
    target = tmp_path / "out"
    command = [sys.executable, "-c", _RUN, str(target), str(limit)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == EnvironmentProblem.exit_code, done.stderr
    assert "could not be written" in done.stdout or "cannot be written" in done.stdout
    assert str(target) in done.stdout
    for name in tree(target) if target.exists() else []:
        assert_whole(target / name)


def assert_whole(path: Path) -> None:
    if path.suffix == ".png":
        assert read_label_map(path).shape == (96, 128)
    elif path.suffix == ".json":
        json.loads(path.read_text())
    elif path.suffix == ".xml":
        ElementTree.parse(path)
    else:
        assert path.parent.name == "labels"
        assert path.read_text().startswith("0 ")
        assert path.read_text().endswith("\n")
