"""The values of the HTTP API: what clients send, and what they get."""

from __future__ import annotations

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator
from typing_extensions import TypeAliasType

from covos.core.errors import CovosError, UsageError
from covos.core.records import PLAIN_NUMBER, Count, Finite, Record, Side
from covos.core.types import Box, JobState
from covos.formats.composition import PLAIN, Composition
from covos.masks.edges import Edges
from covos.media.range import WHOLE, Range
from covos.prompts.values import RegionPrompt
from covos.runs.schema import ProblemRecord

Stage: TypeAlias = Literal["probing", "finding", "tracking", "exporting"]
GivenKind: TypeAlias = Literal["point", "box", "mask", "absent"]
Direction: TypeAlias = Literal["forward", "backward", "both"]

Place: TypeAlias = Annotated[float, Field(strict=True, ge=0, le=1 << 20, allow_inf_nan=False)]
Index: TypeAlias = Annotated[int, Field(ge=0, le=1 << 53), PLAIN_NUMBER]
"""Index of a frame."""
Source: TypeAlias = Annotated[str, Field(pattern=r"^f[0-9]{1,15}$")]
"""Number of a frame in the whole video, as the command line has it: ``f300``."""
Shown: TypeAlias = Index | Source
"""A frame: its index in the job, from 0, or ``f`` and its number in the whole video."""
Number: TypeAlias = Annotated[int, Field(ge=1, le=254), PLAIN_NUMBER]
"""Id of an object."""
Flag: TypeAlias = Annotated[bool, Field(strict=True)]
Stretch = TypeAliasType("Stretch", tuple[int, int, str])
"""Frames [from, to) of an object, and what it does there."""

COLOURS = (
    "#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#D55E00",
    "#0072B2", "#882255", "#B2DF8A", "#6A3D9A", "#8C6D31", "#F5F5F5",
)  # fmt: skip
"""Colours of objects on the page, by number. The first six, and the next, are told apart with every kind of colour
blindness (Okabe and Ito, 2008); the others are as far from all of them as they can be."""


class Body(BaseModel):
    """The body of a request; fields that are not known are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Info(Record):
    """The facts of a clip.

    If it is a part of a video, ``start`` is the number of its first frame in the whole, and one of ``every`` frames is
    taken.
    """

    width: Side
    height: Side
    frame_count: Count
    frame_rate: Finite
    duration: Finite
    sound: bool
    size_bytes: Count
    start: Count = 0
    every: Count = 1


class Thing(Record):
    """An object of a clip: its number, and how the page shows it."""

    id: int
    name: str
    color: str
    hidden: bool = False


class Problem(ProblemRecord):
    """An error in words: what happened, why, and what helps."""

    @classmethod
    def of(cls, error: CovosError) -> Self:
        """Make the record of an error, with the remedy of the page."""
        return cls(what=error.what, why=error.why, fix=error.remedy.page)


class Wanted(Record):
    """The options of a download, which are those of ``covos convert``.

    Attributes:
        range: The part that is written.
        value: A value of the format, as 16 of the matte's: one of its ``choices``, say.
        matte: If true, the opacity of edges is found where it is not known; if false, it is not written. By default it
            is found on the frames that lack it, if others have it.
        composition: What it is composed of. ``background`` is a colour, ``blur``, a file below ``--media-root``, or
            ``upload:`` and the id of an upload.
    """

    range: Range = WHOLE
    value: str | None = Field(default=None, max_length=64)
    matte: Flag | None = None
    composition: Composition = PLAIN


class Made(Wanted):
    """A download: the masks as they are now, or those of a part.

    One that could not be made has its ``error``; ``notes`` say what could not be kept in one that is ready.
    """

    state: Literal["making", "ready", "failed"]
    bytes: Count = 0
    error: Problem | None = None
    notes: tuple[str, ...] = ()


class Given(Record):
    """A prompt that is in force on a frame.

    A ``point`` has a place, and a ``label``: 1 on the object, else 0. A ``box`` has its left, top, right and bottom. A
    ``mask`` was drawn. ``absent`` says that the object is not in the frame.
    """

    frame: Count
    object: int
    kind: GivenKind
    x: Finite | None = None
    y: Finite | None = None
    label: Literal[0, 1] | None = None
    box: tuple[Finite, Finite, Finite, Finite] | None = None


class Region(Body):
    """A box, left, top, right and bottom in pixels, in which the subject may not be, or in which alone it may be."""

    role: Literal["exclude", "within"] = "exclude"
    box: tuple[Place, Place, Place, Place]

    @property
    def prompt(self) -> RegionPrompt:
        """The region as plans have it."""
        x0, y0, x1, y1 = self.box
        return RegionPrompt(role=self.role, box=Box(x0=x0, y0=y0, x1=x1, y1=y1))

    @classmethod
    def of(cls, prompt: RegionPrompt) -> Self:
        """Return the region as clients see it."""
        box = prompt.box
        return cls(role=prompt.role, box=(box.x0, box.y0, box.x1, box.y1))


class JobView(Record):
    """A job as clients see it.

    ``done`` and ``total`` count the frames of the stage, or of the ``step`` before its work; while nothing runs, the
    frames that have masks, and all. ``revision`` counts
    edits; the masks change with it alone. ``undo`` and ``redo`` have the kind of the edit that each would be about,
    null if there is none: ``prompt``, ``removal``, ``track``, ``confirm``, ``object``, ``region`` or ``edges``.
    ``prompts`` are those that are in force, but for confirmations. ``place`` is the place in the queue, from 1.
    ``proxy`` says if there is a video that a browser plays. ``results`` has the downloads of the masks of now, each
    with its notes; an edit takes them away. ``notes`` are about the clip.
    """

    id: str
    name: str
    state: JobState
    stage: Stage | None
    step: str
    done: Count
    total: Count
    info: Info | None
    objects: tuple[Thing, ...]
    revision: Count
    undo: str | None
    redo: str | None
    error: Problem | None
    notes: tuple[str, ...]
    place: int | None
    proxy: bool
    edges: Edges
    regions: tuple[Region, ...]
    prompts: tuple[Given, ...]
    range: Range
    results: dict[str, Made]
    created: str


class Jobs(Record):
    """All jobs, the newest first."""

    jobs: tuple[JobView, ...]


class MaskCode(Record):
    """A mask as COCO's compressed run lengths, column by column: ``size`` is [height, width]."""

    size: tuple[Side, Side]
    counts: str


class ObjectMask(Record):
    """The mask of an object in a frame."""

    id: int
    counts: str
    state: str
    confidence: Finite | None


class FrameMasks(Record):
    """The masks of a frame; ``time`` in seconds."""

    index: Count
    time: Finite
    confidence: Finite | None
    status: str
    objects: tuple[ObjectMask, ...]


class MasksView(Record):
    """The masks of some frames."""

    size: tuple[Side, Side]
    frames: tuple[FrameMasks, ...]


class Timeline(Record):
    """All frames at a glance: a time, a confidence and a status for each, and the frames that stand out.

    ``objects`` has the stretches [from, to, state] of each object; ``to`` is the first frame after it. ``live`` has the
    stretches [from, to] of a track that goes on: they are an edit when it ends. ``cuts`` are the frames with which
    shots begin, but for the first. ``corrected`` has the frames that prompts have changed since a track last went
    through them; their ``confidence`` is that of the other objects, null if there are none.
    """

    times: tuple[Finite, ...]
    confidence: tuple[Finite | None, ...]
    status: tuple[str, ...]
    flags: tuple[Count, ...]
    reasons: dict[int, tuple[str, ...]]
    confirmed: tuple[Count, ...]
    prompted: dict[int, tuple[Count, ...]]
    objects: dict[int, tuple[Stretch, ...]]
    live: tuple[tuple[Count, Count], ...]
    cuts: tuple[Count, ...]
    corrected: tuple[Count, ...]


class Prompted(Record):
    """The mask that a prompt made."""

    object: int
    frame: Count
    mask: MaskCode
    job: JobView


class Choice(Record):
    """A value that a format may have, and the bytes that it takes then."""

    value: str
    bytes: Count


class FormatView(Record):
    """A format to download; ``bytes`` is an estimate, 0 where it is small.

    ``options`` has the fields of a composition that it knows, ``keep_hdr`` only of a clip in HDR or BT.2020.
    ``choices`` has some of its values, the usual one first. ``soft`` says if it shows soft edges, which a matte makes
    better; ``video`` if it has times.
    """

    name: str
    title: str
    container: str
    alpha: bool
    bytes: Count
    soft: bool
    video: bool
    options: tuple[str, ...]
    choices: tuple[Choice, ...]


class Formats(Record):
    """All formats."""

    formats: tuple[FormatView, ...]


class NewJob(Body):
    """A job on a file of the server's own, on one that was uploaded, on that of another job, or on the example clip.

    With a ``range``, only that part is taken: all frames are then counted from its first.
    """

    path: str | None = Field(default=None, max_length=4096)
    upload: str | None = Field(default=None, max_length=64)
    job: str | None = Field(default=None, max_length=64)
    example: Flag = False
    range: Range = WHOLE

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum((self.path is not None, self.upload is not None, self.job is not None, self.example)) != 1:
            raise UsageError(
                "no clip is named, or several",
                why="a job is made of one file",
                fix="give a path, an upload, a job, or example true: one of them",
            )
        return self


class NewResult(Wanted):
    """A download of a part, or of the whole clip without ``range``; and how it is made."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NewRegions(Body):
    """All regions that the subject may not lie in, or has to; they take the place of those that were there."""

    regions: tuple[Region, ...] = Field(max_length=64)


class NewPrompt(Body):
    """Points, a box or a whole mask of one object on one frame; without a number, of a new object.

    Places are columns and rows of pixels of the source. ``labels`` has 1 for a point on the object, else 0. A mask
    without a pixel says that the object is not in this frame.
    """

    frame: Shown
    object: Number | None = None
    points: tuple[tuple[Place, Place], ...] = Field(default=(), max_length=256)
    labels: tuple[Literal[0, 1], ...] | None = Field(default=None, max_length=256)
    box: tuple[Place, Place, Place, Place] | None = None
    mask: MaskCode | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum((bool(self.points), self.box is not None, self.mask is not None)) != 1:
            raise UsageError(
                "a prompt shows nothing, or several things",
                why="it is points, a box or a mask",
                fix="give one of them",
            )
        if self.labels is not None and len(self.labels) != len(self.points):
            raise UsageError(
                f"{len(self.labels)} labels for {len(self.points)} points",
                why="each point has one, 1 on the object or 0",
                fix="give as many",
            )
        return self


class NewTrack(Body):
    """Follow the objects from a frame on, to another or to the end; ``stop`` is the last frame."""

    direction: Direction = "both"
    start: Shown
    stop: Shown | None = None


class OneFrame(Body):
    """A frame."""

    frame: Shown


class NewName(Body):
    """A change of how an object is shown."""

    name: str | None = Field(default=None, min_length=1, max_length=64)
    hidden: Flag | None = None


class Merge(Body):
    """The object that another becomes a part of."""

    into: Number
