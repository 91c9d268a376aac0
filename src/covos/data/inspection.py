"""What an inspection finds, as values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from covos.data.base import Coverage, Encoding


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoReport:
    """One video.

    Attributes:
        name: As in the data set.
        subset: As in the data set.
        encoding: How its annotations were read.
        coverage: Which of its frames are annotated.
        frames: Number of frames.
        annotated: Number of annotations.
        sizes: (height, width) of its images, each once; of its annotations where it has no images.
        object_ids: All ids that occur, in order, void (255) left out.
        empty: Stems of annotations without any object; for a soft mask, with nothing above 0.5.
        missing: Stems of frames that lack the annotation that the other frames lead to expect.
        mismatched: Stems of frames whose annotation does not have the image's size.
        unreadable: One line for each file that cannot be read.
        extra: Names of annotations that no image belongs to.
    """

    name: str
    subset: str | None
    encoding: Encoding
    coverage: Coverage
    frames: int
    annotated: int
    sizes: tuple[tuple[int, int], ...]
    object_ids: tuple[int, ...]
    empty: tuple[str, ...]
    missing: tuple[str, ...]
    mismatched: tuple[str, ...]
    unreadable: tuple[str, ...]
    extra: tuple[str, ...]

    @property
    def objects(self) -> int:
        """The highest object id: objects are numbered from 1, and one may be absent from every frame."""
        return max(self.object_ids, default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something to know before training.

    Attributes:
        severity: ``"error"`` stops a training or spoils it, ``"warning"`` may be as it should be.
        what: One line with the number of cases.
        examples: The first cases.
    """

    severity: Literal["error", "warning"]
    what: str
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """A data set, looked through.

    Attributes:
        name: Of the data set.
        layout: Of the data set.
        root: Of the data set.
        videos: One report each.
        problems: Errors first.
    """

    name: str
    layout: str
    root: str
    videos: tuple[VideoReport, ...]
    problems: tuple[Problem, ...]

    @property
    def usable(self) -> bool:
        """Whether no problem is an error."""
        return all(problem.severity != "error" for problem in self.problems)

    @property
    def frames(self) -> int:
        """Frames of all videos."""
        return sum(video.frames for video in self.videos)

    @property
    def annotated(self) -> int:
        """Annotated frames of all videos."""
        return sum(video.annotated for video in self.videos)

    @property
    def empty(self) -> int:
        """Annotations without any object."""
        return sum(len(video.empty) for video in self.videos)

    @property
    def objects(self) -> int:
        """Objects of all videos, by their highest ids."""
        return sum(video.objects for video in self.videos)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values for JSON; sizes are [height, width]."""
        totals = {
            "videos": len(self.videos),
            "frames": self.frames,
            "annotated": self.annotated,
            "objects": self.objects,
            "empty": self.empty,
            "usable": self.usable,
        }
        return {**asdict(self), "totals": totals}
