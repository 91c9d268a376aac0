"""Events: the reports of a job while it runs, as small typed values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from covos.core.types import FrameResult, SourceInfo
from covos.engines.steps import LadderStep
from covos.masks.frame_mask import FrameMask
from covos.results.segmentation import Segmentation
from covos.runs.writing import Saved

Stage: TypeAlias = Literal[
    "opening",
    "loading",
    "ready",
    "looking for cuts",
    "discovering",
    "finding",
    "following backward",
    "frames",
    "done already",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A stage begins.

    Attributes:
        stage: Name of the stage.
        total: Frames that it takes; None if that is not known yet.
        info: Description of the source; None before it is open.
    """

    stage: Stage
    total: int | None = None
    info: SourceInfo | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Advanced:
    """Progress of a stage that gives no masks yet.

    It looks for cuts, discovers objects, finds the surest frames, or follows backward.

    Attributes:
        stage: Name of the stage.
        done: Frames that are done.
        total: Frames in all.
    """

    stage: Stage
    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameDone:
    """A frame has its masks.

    Attributes:
        index: Index of the frame.
        total: Frames that the source promises.
        result: Picture, probabilities and labels.
        resumed: True if an earlier run had computed it.
    """

    index: int
    total: int
    result: FrameResult
    resumed: bool = False

    @property
    def masks(self) -> FrameMask:
        """The masks, run-length encoded: small, and without the picture."""
        return FrameMask.of(self.result)


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """Something could not be kept or read.

    Attributes:
        text: In plain words.
    """

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SteppedDown(Warned):
    """The memory ran out, and the job goes on with less.

    Attributes:
        step: The step, as the report has it.
    """

    step: LadderStep


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """Something that a user may want to know.

    Attributes:
        text: In plain words.
    """

    text: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Finished:
    """All is done; the last event.

    Attributes:
        saved: The files that were written; None without a folder.
        result: The masks of all frames; None with a folder, where they are on disk.
    """

    saved: Saved | None = None
    result: Segmentation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """The job was cancelled; the last event.

    Attributes:
        frames: Number of frames that are kept, and from which the same plan goes on in the same folder: those of whole
            batches. 0 without a folder, and with ``overwrite`` until it is known that a run which is there goes on.
    """

    frames: int


Event: TypeAlias = Started | Advanced | FrameDone | Warned | SteppedDown | Noted | Finished | Cancelled
