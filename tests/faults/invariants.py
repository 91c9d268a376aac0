"""Run the command on a video, and check all that must hold of any, however damaged it is."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from checked_output import check_output
from children import in_child
from covos import cli
from covos.model import Model
from covos.runs.folder import PARTIAL
from covos.runs.schema import load_report
from faults.media_mutants import INPUTS

SECONDS = 20.0
"""The most that a clip of some frames may take; it takes a tenth of one."""
MEMORY = 300 << 20
"""The most memory that looking at such a clip may take, beside what the process of the tests holds; it takes 50 MB."""
CODES = {0, 3, 4}
"""Exit codes that a video can have: done, not to be read, done in part."""
STATING = {"mkv", "webm", "mp4", "mov", "ts", "m2ts", "mpg", "nut", "wmv", "flv", "ivf"}
"""Suffixes of files that state the time of each picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What became of a video.

    Attributes:
        code: Exit code of the command; -1 if its process died, hung or flooded the memory.
        frames: Frames that were given.
        lost: Frames of the intact video that are not given, and not told to be missing.
        withheld: Frames that a plain decoder gives of the file, and the command does not.
        told: True if the command said that something is missing or damaged.
        alarm: True if all pictures of the intact video were given, and some are told to be missing all the same.
        broken: All that does not hold, a line each.
    """

    code: int
    frames: int = 0
    lost: int = 0
    withheld: int = 0
    told: bool = False
    alarm: bool = False
    broken: tuple[str, ...] = field(default=())


def look_at(path: Path, folder: Path, *, model: Model, intact: Any) -> Looked:
    """Segment a video in a child process, with masks and an overlay, and check what comes out.

    Args:
        path: The video.
        folder: Folder for the output, which is removed first and last.
        model: Segments it.
        intact: All that a plain decoder gave of the video before it was damaged.
    """
    shutil.rmtree(folder, ignore_errors=True)
    child = in_child(lambda: _run(path, folder, model=model), seconds=SECONDS)
    try:
        if child.end != "answered":
            return Looked(code=-1, broken=(f"the process {child.end}: {child.answer}",))
        looked = _judged(path, folder, child.answer, intact=intact)
        if (taken := child.peak - child.begun) > MEMORY:
            return Looked(code=-1, broken=(*looked.broken, f"it took {taken >> 20} MB"))
        return looked
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(path: Path, folder: Path, *, model: Model) -> dict[str, Any]:
    said = io.StringIO()
    with mock.patch("covos.job.load_planned", return_value=model), contextlib.redirect_stderr(said):
        code = cli.main(["segment", str(path), "-o", str(folder), "-f", "palette", "-f", "overlay", "-q"])
    plain = INPUTS.decode_plainly(path)
    found = {"plain": plain.count, "times": sorted(plain.times), "numbers": sorted(plain.numbers)}
    return {"code": code, "said": said.getvalue(), **found}


def _judged(path: Path, folder: Path, answer: dict[str, Any], *, intact: Any) -> Looked:
    code, said, plain = answer["code"], answer["said"], answer["plain"]
    broken = []
    if code not in CODES:
        broken.append(f"exit code {code}: {said}")
    if not (folder / "report.json").is_file():
        if code in {0, 4}:
            broken.append(f"exit code {code} and no report: {said}")
        if folder.exists():
            broken.append(f"an output folder is left: {sorted(each.name for each in folder.iterdir())}")
        # One photograph is a still, and a still that is damaged is refused.
        plain = 0 if path.suffix == ".mjpeg" and plain == 1 else plain
        return Looked(code=code, withheld=plain, broken=tuple(broken))
    broken += check_output(folder)
    health = load_report(folder).full_health()
    frames = health.decoded
    if (code == 0) != health.complete:
        broken.append(f"exit code {code}, and the report says {health}")
    if code == 3:
        broken.append(f"exit code 3, and a report of {frames} frames: {said}")
    gone = max(0, intact.count - frames)
    lost = 0 if health.at_least else max(0, gone - health.missing)
    return Looked(
        code=code,
        frames=frames,
        lost=lost,
        withheld=max(0, plain - frames),
        told=code == 4,
        alarm=frames >= intact.count and health.missing > 0 and _has_all(path, answer, intact=intact),
        broken=tuple(broken),
    )


def _has_all(path: Path, answer: dict[str, Any], *, intact: Any) -> bool:
    """Tell if a plain decoder gives each picture of the intact video; a block that stands twice gives some twice."""
    if answer["plain"] < intact.count:
        return False
    if path.suffix.removeprefix(".") in STATING:
        return intact.times <= set(answer["times"])
    return len(intact.numbers) < intact.count or intact.numbers <= set(answer["numbers"])


def left_over(folder: Path) -> list[str]:
    """Return the unfinished files below a folder."""
    return [str(path) for path in sorted(folder.rglob("*")) if PARTIAL.fullmatch(path.name)]


def described(looked: Looked) -> str:
    """Return a result for a test's message."""
    return json.dumps({"code": looked.code, "frames": looked.frames, "broken": looked.broken})
