"""Commands that compute nothing do not load torch, which takes seconds: they answer at once, and so does a refusal."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from clips import write_clip
from covos.masks import write_label_map

_RUN = """
import contextlib, io, json, sys
from covos.cli import main
for line in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        code = main(line)
    print(json.dumps([code, "torch" in sys.modules]), flush=True)
"""

COMMANDS: dict[str, int] = {
    "--version": 0,
    "models list": 0,
    "convert masks/a -f npz -o converted": 0,
    "evaluate masks masks --protocol davis2017-semi -q": 0,
    "data inspect set -q": 0,
    "segment missing.mp4 -o out": 3,
    "segment clip.mp4 -o out --model missing": 2,
    "segment clip.mp4 -o out --device tpu": 2,
    "segment clip.mp4 -o out --mask missing.png": 3,
    "segment clip.mp4 -o out --references 1000": 2,
    "segment clip.mp4 -o taken.mp4": 2,
    "correct missing -o out --point 1,1@0:1": 3,
    "correct masks -o out": 2,
    "convert missing -o out -f palette": 3,
    "convert masks/a -o out -f no-format": 2,
    "evaluate masks missing --protocol davis2017-semi": 3,
    "batch missing.csv -o out": 3,
    "batch clip.mp4 -o batch -q --device cpu": 0,  # its workers load it
    "stream missing.mp4 out.mkv": 3,
    "stream clip.mp4 taken.mp4 --container matroska": 2,
    "predict missing -o out": 3,
    "reproduce davis2016 --data missing -o out": 3,
    "train lite --data missing -o out": 3,
    "validate covos-lite --data missing": 3,
    "validate missing --data set": 2,
    "validate covos-lite --data set --recipe missing": 2,
    "export missing -o out": 2,
    "open missing.mp4": 3,
    "serve --model missing": 2,
    "bench --model missing": 2,
}
"""Command lines, with the exit code of each; the tree that they find is made by `answered`."""


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, bool]]:
    """The exit code of each command, and if torch is loaded by then: in one process for all."""
    folder = tmp_path_factory.mktemp("commands")
    write_clip(folder / "clip.mp4", [np.full((48, 64, 3), 40 * index, np.uint8) for index in range(3)])
    (folder / "set" / "images").mkdir(parents=True)
    (folder / "taken.mp4").write_bytes(b"of the user")
    mask = np.zeros((48, 64), np.uint8)
    mask[10:20, 10:20] = 1
    for index in range(3):
        for place in (folder / "masks" / "a", folder / "set" / "masks"):
            place.mkdir(parents=True, exist_ok=True)
            write_label_map(place / f"{index:05d}.png", mask)
        cv2.imwrite(str(folder / "set" / "images" / f"{index:05d}.jpg"), np.zeros((48, 64, 3), np.uint8))
    done = subprocess.run(
        [sys.executable, "-c", _RUN, json.dumps([line.split() for line in COMMANDS])],
        cwd=folder, capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    return dict(zip(COMMANDS, map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.mark.parametrize(("command", "code"), COMMANDS.items())
def test_torch_is_not_loaded(command: str, code: int, answered: dict[str, tuple[int, bool]]) -> None:
    assert [*answered[command]] == [code, False]


GIVING_WORK = (
    "covos.serve.running",
    "covos.serve.pictures",
    "covos.serve.tasks",
    "covos.fleet.batch",
    "covos.fleet.cluster",
)
"""Modules of processes that give work to others, or read pictures alone."""


def test_processes_that_give_work_to_others_do_not_load_torch() -> None:
    pytest.importorskip("fastapi", reason="the extra serve is not installed")
    code = "import sys\nfor name in sys.argv[1:]:\n    __import__(name)\n    assert 'torch' not in sys.modules, name"
    subprocess.run([sys.executable, "-c", code, *GIVING_WORK], check=True, timeout=300)


def test_a_missing_video_is_refused_before_any_library_of_pictures_is_loaded(tmp_path: Path) -> None:
    code = "import sys; from covos.cli import main; print(main(sys.argv[1:]), {'numpy', 'cv2', 'av'} & {*sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code, "segment", "missing.mp4", "-o", "out"],
        cwd=tmp_path, capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "3 set()"
    assert "no such file or folder" in done.stderr
