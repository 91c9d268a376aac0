"""The content of ``report.json``: a run, frame by frame; and reading it back."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from covos.core.errors import CovosError
from covos.core.guarded import is_there
from covos.core.numbered import is_pattern, matches_of
from covos.core.progress import counted
from covos.core.records import Count, Finite, ObjectId, Rate, Record, Seconds, Share, Side, Ticks, TimeBase, read_record
from covos.core.types import Deinterlace, FrameStatus, Presence, SourceInfo, SourceKind, Tags, Times
from covos.engines.steps import LadderStep
from covos.media.source import Health, MissingFrame
from covos.media.tags import TIMECODE

REPORT: Final = "report.json"

SCHEMA: Final = 1
"""Number of the schema. A field that changes its meaning, or goes, raises it; a new field does not."""


class Versioned(Record):
    """A file of a run that says by which schema it was written; a newer one is refused."""

    schema_number: int = Field(alias="schema", ge=0)

    @field_validator("schema_number")
    @classmethod
    def _known(cls, found: int) -> int:
        if found > SCHEMA:
            raise PydanticCustomError(
                "newer", f"{found} is that of a newer covos, this one knows {SCHEMA}: update covos"
            )
        return found


class ToolRecord(Record):
    """The program that wrote the file."""

    name: str
    version: str


class SourceRecord(Record):
    """The source, as `covos.core.types.SourceInfo`; fractions are text such as ``"30000/1001"``.

    ``path`` is as it was given, so a relative one counts from the folder in which covos was called; ``from_folder`` is
    the way to it from the folder of the report, left out where the source is not on disk. ``deinterlace`` is left out
    where it is ``"auto"``. ``sha256`` is that of the
    file, null for a folder and in the report of a run that did not finish.
    """

    path: str
    kind: SourceKind
    height: Side
    width: Side
    frame_count: Count
    frame_rate: Rate | None
    duration: Seconds | None
    time_base: TimeBase
    rotation: Annotated[int, Field(ge=-360, le=360)]
    has_audio: bool
    codec: str
    pixel_aspect: Rate
    sha256: str | None
    start: Count = 0
    every: Annotated[int, Field(ge=1)] = 1
    times: Times | None = None
    whole: bool = False
    timecode: Annotated[str, Field(pattern=f"^{TIMECODE}$", max_length=12)] | None = None
    from_folder: str | None = None
    deinterlace: Deinterlace = "auto"

    @classmethod
    def of(cls, info: SourceInfo, *, sha256: str | None, folder: Path) -> Self:
        """Make the record of a source; a whole one has no ``start`` and ``every`` in the file.

        It has ``times`` and ``whole`` where something was said about its times.
        """
        values = asdict(info)
        timecode = values.pop("tags")["timecode"]
        del values["file"]
        if timecode is not None:
            values["timecode"] = timecode
        if (way := _way_to(info.path, folder)) is not None:
            values["from_folder"] = way
        if not info.is_part:
            for name in ("start", "every", *(() if info.whole else ("times",))):
                del values[name]
        if not info.whole:
            del values["whole"]
        if info.deinterlace == "auto":
            del values["deinterlace"]
        return cls(**values, sha256=sha256)

    def info(self, *, folder: Path) -> SourceInfo:
        """Return the source as it was described when it was read, at the place where it lies now.

        Args:
            folder: Folder of the report. A source that moved together with it is found; a relative path counts from
                the current folder only if no source lies on the way from the report's.
        """
        values = {name: value for name, value in self if name not in {"sha256", "from_folder", "timecode"}}
        if self.from_folder is not None:
            near = os.path.normpath(os.path.join(os.path.realpath(folder), self.from_folder))  # noqa: PTH118
            beside = not Path(self.path).is_absolute() or not _leads_somewhere(self.path)
            if beside and _leads_somewhere(near) and os.path.realpath(self.path) != os.path.realpath(near):
                values["path"] = near
        return SourceInfo(**values, tags=Tags(timecode=self.timecode))


def _leads_somewhere(path: str) -> bool:
    # A pattern that searches whole folders is refused where it is opened: it is not searched here.
    return is_there(Path(path)) or (is_pattern(path) and "**" not in path and bool(matches_of(path)))


def _way_to(path: str, folder: Path) -> str | None:
    """Return the way from a folder to a source; None of one that is not on disk."""
    if not _leads_somewhere(path):
        return None
    with suppress(ValueError):  # on Windows there is no way from one drive to another
        return os.path.relpath(os.path.abspath(path), os.path.realpath(folder))  # noqa: PTH100
    return None


class HealthRecord(Record):
    """The course of reading the source, as `covos.media.source.Health`; damaged frames are marked in their rows."""

    decoded: Count
    expected: Count
    missing: Count
    undecodable: Count
    cut: bool
    at_least: bool = False
    warnings: tuple[str, ...]
    notes: tuple[str, ...] = ()


class ModelRecord(Record):
    """A model: its name, and the hash of its weights."""

    name: str
    sha256: str


class TotalsRecord(Record):
    """Frames written and the time that the run took, in seconds; ``fps`` is null if that is zero.

    ``resumed`` of the frames were computed by an earlier run that was stopped.
    """

    frames: Count
    seconds: Seconds
    fps: Seconds | None
    resumed: Count = 0


class ProblemRecord(Record):
    """An error in its three lines."""

    what: str
    why: str
    fix: str

    @classmethod
    def of(cls, error: CovosError) -> Self:
        """Make the record of an error: in a file, which lies beside a shell, its remedy is that of the command line."""
        return cls(what=error.what, why=error.why, fix=error.remedy.command)


class StateRecord(Record):
    """The state of a followed object: see `covos.core.types.ObjectStatus`."""

    state: Presence
    confidence: Share


class FrameRow(Record):
    """One frame.

    ``index`` counts the frames that were taken, from 0; ``source_index`` counts those of the whole source, where a part
    of it was taken. ``pts`` counts units of the source's ``time_base``, ``time`` is the same in seconds. ``area`` gives
    the share of the frame's pixels by object id. ``seconds`` is the time that computing the frame took. ``confidence``
    is null where it is not a number. ``box`` is the smallest around an object, [left, top, width, height] in pixels,
    ``centre`` the mean place [x, y] of its pixels, ``overlap`` its intersection over union with itself in the frame
    before (0 if it was not there; none for the first frame). ``states`` are those of the objects that are followed,
    seen or not. ``flags`` and ``suspicion`` are those of `covos.runs.quality`. ``file`` is the name of the frame's
    picture file; frames of a video have none. ``size`` is [height, width] where it is not the source's. ``between`` is
    true where the mask was made of those of the neighbours, and no network has looked at the frame. Fields with a
    default may be absent from the file.
    """

    index: Count
    source_index: Count | None = None
    stem: str
    file: str | None = None
    pts: Ticks
    time: Finite
    status: FrameStatus
    size: tuple[Side, Side] | None = None
    objects: list[ObjectId]
    area: dict[ObjectId, Share]
    confidence: Share | None
    seconds: Seconds
    box: dict[ObjectId, tuple[Count, Count, Count, Count]] = Field(default_factory=dict)
    centre: dict[ObjectId, tuple[Seconds, Seconds]] = Field(default_factory=dict)
    overlap: dict[ObjectId, Share] = Field(default_factory=dict)
    states: dict[ObjectId, StateRecord] = Field(default_factory=dict)
    flags: tuple[str, ...] = ()
    suspicion: Share = 0.0
    between: bool = False

    @property
    def number(self) -> int:
        """Number of the frame in the whole source, from 0."""
        return self.index if self.source_index is None else self.source_index


class MissingRow(Record):
    """A frame that the source had and that did not come out: it has no masks.

    ``after`` is the index of the row of the frame before it, -1 if there is none. ``pts`` and ``time`` are as near as
    they are known; ``why`` is in plain words.
    """

    after: Annotated[int, Field(ge=-1, le=1 << 53)]
    pts: Ticks
    time: Finite
    status: Literal["missing"] = "missing"
    why: str


class LookAtRecord(Record):
    """A frame to look at, named as in its row: why, and how much it stands out, in [0, 1]."""

    index: Count
    source_index: Count | None = None
    stem: str
    time: Finite
    suspicion: Share
    reasons: tuple[str, ...]


class QualityRecord(Record):
    """All that stands out, found without ground truth: see `covos.runs.quality`.

    ``suspicious`` frames have a flag that counts; ``flags`` counts the frames of each kind; ``look_at_first`` are at
    most 24 frames, some apart, the most suspicious first.
    """

    suspicious: Count
    flags: dict[str, Count]
    look_at_first: tuple[LookAtRecord, ...]


class ReportContent(Versioned):
    """A whole report. Its JSON Schema is that of `model_json_schema`.

    ``outputs`` are relative to its folder: files, or the folder of a format with a file a frame. ``problem`` is the
    error that ended the run early. ``notes`` say what was changed at no loss that is worth a warning. Reports of
    earlier versions have no ``quality``. ``missing`` has a row for each frame that did not come out. A run is
    ``degraded`` if its memory ran out and it went on with less: ``steps_down`` says with what (see
    `covos.engines.ladder`). ``cuts`` are the frames with which shots begin, but for the first (see
    `covos.engines.shots`).
    """

    tool: ToolRecord
    settings: dict[str, Any]
    source: SourceRecord
    health: HealthRecord
    model: ModelRecord
    device: str
    totals: TotalsRecord
    outputs: tuple[str, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...] = ()
    problem: ProblemRecord | None
    quality: QualityRecord | None = None
    degraded: bool = False
    steps_down: tuple[LadderStep, ...] = ()
    cuts: tuple[Count, ...] = ()
    missing: tuple[MissingRow, ...] = ()
    frames: tuple[FrameRow, ...]

    def full_health(self) -> Health:
        """Return the course of reading the source, with the frames that the rows mark."""
        return Health(
            **self.health.model_dump(exclude={"missing"}),
            concealed=tuple(row.index for row in self.frames if row.status == "concealed"),
            unreadable=tuple(row.index for row in self.frames if row.status == "unreadable"),
            lost=tuple(MissingFrame(after=row.after, pts=row.pts, why=row.why) for row in self.missing),
        )


def as_json(record: Record) -> Any:
    """Return a record as JSON takes it. Optional fields that were never given stay away."""
    return record.model_dump(mode="json", by_alias=True, exclude_unset=True)


def has_report(folder: Path) -> bool:
    """Tell if a folder is that of a run, or of a conversion: it has a report."""
    try:
        return (folder / REPORT).is_file()
    except OSError:  # a name that is too long, or links in a circle
        return False


def load_report(path: Path) -> ReportContent:
    """Read a report: the file, or the one in a folder.

    Raises:
        InputError: It is missing, damaged, no report, or of a newer schema.
    """
    file = path / REPORT if path.is_dir() else path
    fix = "run covos again, or move the report away to read the masks alone"
    return read_record(
        ReportContent,
        file,
        what=f"cannot read the report {file}",
        fix=fix if file.is_file() else "name the output folder of a run",
    )


class FollowedObjects:
    """Notes how the objects fare that a run follows, row by row.

    Args:
        settings: Those of the run.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._were_looked_for = "objects" in settings
        self._states: dict[int, str] = {}
        self._since: dict[int, int] = {}

    def add(self, row: FrameRow) -> None:
        """Take the next row."""
        for identity, said in row.states.items():
            self._states[identity] = said.state
            if said.state == "present":
                self._since.pop(identity, None)
            else:
                self._since.setdefault(identity, row.number)

    def notes(self) -> Iterator[str]:
        """Say how many objects were found, where they were looked for; and which are lost at the end."""
        if self._were_looked_for:
            yield f"{counted(len(self._states), 'object')} found"
        if lost := [identity for identity in sorted(self._states) if self._states[identity] == "lost"]:
            where = ", ".join(f"object {each} since frame {self._since[each]}" for each in lost)
            yield f"lost at the end: {where}"


def followed_notes(report: ReportContent) -> list[str]:
    """Return the notes of `FollowedObjects` on a whole report."""
    followed = FollowedObjects(report.settings)
    for row in report.frames:
        followed.add(row)
    return list(followed.notes())
