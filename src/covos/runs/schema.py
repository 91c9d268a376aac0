"""The shape of ``report.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NotRequired, TypedDict, cast, get_origin, get_type_hints

from covos.core.errors import InputError
from covos.core.types import Presence

REPORT = "report.json"

SCHEMA = 1
"""Raised when a field changes its meaning or goes; new fields do not raise it."""


class ToolRecord(TypedDict):
    """What wrote the report."""

    name: str
    version: str


class SourceRecord(TypedDict):
    """The source, as `covos.core.types.SourceInfo`; fractions are text such as ``"30000/1001"``.

    ``sha256`` is that of the file, null for a folder and in the report of a run that did not finish.
    """

    path: str
    kind: str
    height: int
    width: int
    frame_count: int
    frame_rate: str | None
    duration: float | None
    time_base: str
    rotation: int
    has_audio: bool
    codec: str
    pixel_aspect: str
    sha256: str | None


class HealthRecord(TypedDict):
    """How reading the source went, as `covos.media.Health`; concealed frames are marked in their rows."""

    decoded: int
    expected: int
    missing: int
    undecodable: int
    cut: bool
    warnings: list[str]


class ModelRecord(TypedDict):
    """The model."""

    name: str
    sha256: str


class TotalsRecord(TypedDict):
    """Frames written and the time that the run took, in seconds; ``fps`` is null if that is zero.

    ``resumed`` of the frames were computed by an earlier run that was stopped.
    """

    frames: int
    seconds: float
    fps: float | None
    resumed: NotRequired[int]


class ProblemRecord(TypedDict):
    """The error that ended the run early."""

    what: str
    why: str
    fix: str


class StateRecord(TypedDict):
    """Whether a followed object is to be seen: see `covos.core.types.ObjectStatus`."""

    state: Presence
    confidence: float


class FrameRow(TypedDict):
    """One frame.

    ``pts`` counts units of the source's ``time_base``, ``time`` is the same in seconds. ``area`` gives, for each
    object id (as text, as JSON demands), its share of the frame's pixels. ``seconds`` is the time that computing
    the frame took. ``confidence`` is null where it is not a number. ``box`` is the smallest around an object, [left,
    top, width, height] in pixels, ``centre`` the mean place [x, y] of its pixels, ``overlap`` its intersection over
    union with itself in the frame before (0 if it was not there; none for the first frame). ``states`` are those of
    the objects that are followed, seen or not. ``flags`` and ``suspicion`` are those of `covos.runs.quality`.
    """

    index: int
    stem: str
    pts: int
    time: float
    status: str
    objects: list[int]
    area: dict[str, float]
    confidence: float | None
    seconds: float
    box: NotRequired[dict[str, list[int]]]
    centre: NotRequired[dict[str, list[float]]]
    overlap: NotRequired[dict[str, float]]
    states: NotRequired[dict[str, StateRecord]]
    flags: NotRequired[list[str]]
    suspicion: NotRequired[float]


class LookAtRecord(TypedDict):
    """A frame to look at: which, why, and how much it stands out, in [0, 1]."""

    index: int
    stem: str
    time: float
    suspicion: float
    reasons: list[str]


class QualityRecord(TypedDict):
    """What stands out, told without ground truth: see `covos.runs.quality`.

    ``suspicious`` frames have a flag that counts; ``flags`` counts the frames of each kind; ``look_at_first`` are at
    most 24 frames, some apart, the most suspicious first.
    """

    suspicious: int
    flags: dict[str, int]
    look_at_first: list[LookAtRecord]


class ReportContent(TypedDict):
    """A whole report. ``outputs`` are relative to its folder: files, or the folder of a format with a file a frame."""

    schema: int
    tool: ToolRecord
    settings: Mapping[str, Any]
    source: SourceRecord
    health: HealthRecord
    model: ModelRecord
    device: str
    totals: TotalsRecord
    outputs: list[str]
    warnings: list[str]
    problem: ProblemRecord | None
    quality: NotRequired[QualityRecord]
    frames: list[FrameRow]


# Read ``report.json`` back.


def load_report(path: Path) -> ReportContent:
    """Read a report.

    Args:
        path: The file, or the folder it lies in.

    Raises:
        InputError: It is missing, damaged, no report, or of a newer schema.
    """
    file = path / REPORT if path.is_dir() else path
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise _unusable(file, "there is no such file", fix="name the output folder of a run") from None
    except (OSError, ValueError) as error:
        raise _unusable(file, " ".join(str(error).split())) from error
    if fault := _fault(content):
        raise _unusable(file, fault)
    if content["schema"] > SCHEMA:
        raise _unusable(file, f"its schema is {content['schema']}, this covos knows {SCHEMA}", fix="update covos")
    return cast("ReportContent", content)


def _fault(content: Any) -> str | None:
    if not isinstance(content, dict) or not isinstance(content.get("schema"), int):
        return "it is not a report of covos: it has no schema number"
    rows = content.get("frames")
    if not isinstance(rows, list):
        return "it has no list of frames"
    parts: list[tuple[str, object, type]] = [
        ("it", content, ReportContent),
        ("its source", content.get("source"), SourceRecord),
        ("its health", content.get("health"), HealthRecord),
        ("its totals", content.get("totals"), TotalsRecord),
        *((f"frame row {number}", row, FrameRow) for number, row in enumerate(rows)),
    ]
    fields = {kind: _required(kind) for kind in {kind for _, _, kind in parts}}
    for where, part, kind in parts:
        lacking = fields[kind] - part.keys() if isinstance(part, dict) else fields[kind]
        if lacking:
            return f"{where} lacks {', '.join(sorted(lacking))}"
    return None


def _required(kind: type) -> set[str]:
    # Not `__required_keys__`, which in Python 3.11 does not see NotRequired in annotations that are kept as text.
    hints = get_type_hints(kind, include_extras=True)
    return {name for name, hint in hints.items() if get_origin(hint) is not NotRequired}


def _unusable(file: Path, why: str, *, fix: str = "run covos again") -> InputError:
    return InputError(f"cannot read the report {file}", why=why, fix=fix)
