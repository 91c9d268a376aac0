"""Run the command on a folder of pictures or a still, and check what must hold of any, however damaged it is."""

from __future__ import annotations

import contextlib
import io
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from checked_output import check_output
from children import in_child
from covos import cli
from covos.model import Model
from covos.runs.schema import load_report
from faults.invariants import CODES, MEMORY, SECONDS, Looked
from faults.media_mutants import INPUTS
from faults.picture_mutants import SIZE, read_plainly

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedAtPictures:
    """What became of pictures: ``looked`` counts losses without a word, ``unseen`` those of which nothing can tell."""

    looked: Looked
    unseen: int = 0


def look_at_pictures(
    source: Path, paths: list[Path], folder: Path, *, model: Model, intact: list[Pixels], gone: set[int], checked: bool
) -> LookedAtPictures:
    """Segment pictures in a child process, and compare the rows of the report with what a plain reader gives.

    Args:
        source: The folder, or the still.
        paths: The pictures; some may be gone.
        folder: Folder for the output, which is removed first and last.
        model: Segments them.
        intact: Pixels of each, before any was damaged.
        gone: Numbers of those that are gone.
        checked: True if the format has checksums.
    """
    shutil.rmtree(folder, ignore_errors=True)
    child = in_child(lambda: _run(source, folder, model=model), seconds=SECONDS)
    try:
        if child.end != "answered":
            return LookedAtPictures(looked=Looked(code=-1, broken=(f"the process {child.end}: {child.answer}",)))
        if (taken := child.peak - child.begun) > MEMORY:
            return LookedAtPictures(looked=Looked(code=-1, broken=(f"it took {taken >> 20} MB",)))
        return _judged(paths, folder, child.answer, intact=intact, gone=gone, checked=checked)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(source: Path, folder: Path, *, model: Model) -> dict[str, Any]:
    said = io.StringIO()
    with mock.patch("covos.job.load_planned", return_value=model), contextlib.redirect_stderr(said):
        warnings.filterwarnings("ignore", module=r"PIL\.")
        code = cli.main(["segment", str(source), "-o", str(folder), "-f", "palette", "-f", "overlay", "-q"])
    return {"code": code, "said": said.getvalue()}


def _judged(
    paths: list[Path], folder: Path, answer: dict[str, Any], *, intact: list[Pixels], gone: set[int], checked: bool
) -> LookedAtPictures:
    code, said = answer["code"], answer["said"]
    broken = [] if code in CODES else [f"exit code {code}: {said}"]
    if "Errno" in said or "Traceback" in said:
        broken.append(f"words of Python's: {said}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = [None if at in gone else read_plainly(path) for at, path in enumerate(paths)]
    is_still = len(paths) == 1
    fits = [pixels is not None and (is_still or pixels.shape[:2] == SIZE) for pixels in plain]
    if not (folder / "report.json").is_file():
        if code in {0, 4}:
            broken.append(f"exit code {code} and no report: {said}")
        if folder.exists():
            broken.append(f"an output folder is left: {sorted(each.name for each in folder.iterdir())}")
        return LookedAtPictures(looked=Looked(code=code, withheld=sum(fits), broken=tuple(broken)))
    broken += check_output(folder)
    report = load_report(folder)
    if (code == 0) != report.full_health().complete:
        broken.append(f"exit code {code}, and the report says {report.full_health()}")
    rows = {row.stem: row.status for row in report.frames}
    lost = withheld = unseen = 0
    alarm = False
    for at, path in enumerate(paths):
        if at in gone:
            is_at_an_end = all(each in gone for each in range(at)) or all(
                each in gone for each in range(at, len(paths))
            )
            unseen += is_at_an_end
            lost += not is_at_an_end and "numbering of the pictures leaves out" not in said
            continue
        decoded = rows.get("00000" if is_still and path.stem not in rows else path.stem)
        if decoded is None:
            broken.append(f"{path.name} has no row")
            continue
        is_as_before = fits[at] and np.array_equal(plain[at], intact[at])  # type: ignore[arg-type]
        alarm |= decoded != "ok" and bool(is_as_before)
        withheld += decoded == "unreadable" and fits[at]
        if decoded == "ok" and not is_as_before:
            # FFmpeg reads some stills whose beginning was changed so that Pillow does not know them.
            is_there = fits[at] or read_plainly(path, completed=True) is not None
            is_there |= is_still and INPUTS.decode_plainly(path).count > 0
            is_told = "warning" in said or (is_there and not checked)
            unseen += is_there and not checked
            lost += not is_told
    return LookedAtPictures(
        looked=Looked(
            code=code,
            frames=len(rows),
            lost=lost,
            withheld=withheld,
            told=code == 4,
            alarm=alarm,
            broken=tuple(broken),
        ),
        unseen=unseen,
    )
