"""Look through a data set before a training trips over it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from covos.core.device import usable_cpus
from covos.core.errors import InputError
from covos.data.base import Coverage, Encoding
from covos.data.reading import decode_labels, read_image
from covos.masks import VOID
from covos.media.images import image_header

if TYPE_CHECKING:
    from covos.data.base import Dataset, FrameRecord, Video


# What an inspection finds, as values.


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


_EXAMPLES = 5
_MOST_THREADS = 8  # beyond, the disk is what is waited for


def inspect(
    dataset: Dataset, *, decode_images: bool = False, on_frames: Callable[[int], object] | None = None
) -> Inspection:
    """Read every annotation and the header of every image, and list what does not fit.

    Args:
        dataset: The data set.
        decode_images: Decode the images, too: finds those that are cut off, and takes several times as long.
        on_frames: Called once a video, with the number of its frames.
    """
    reports = []
    with ThreadPoolExecutor(min(usable_cpus(), _MOST_THREADS)) as pool:
        try:
            sparse = dataset.layout == "youtube-vos"
            for report in pool.map(lambda video: _report(video, sparse, decode_images), dataset):
                reports.append(report)
                if on_frames:
                    on_frames(report.frames)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return Inspection(
        name=dataset.name,
        layout=dataset.layout,
        root=str(dataset.root),
        videos=tuple(reports),
        problems=_problems(reports, dataset.notes),
    )


@dataclass(slots=True)
class _Findings:
    sizes: dict[tuple[int, int], None] = field(default_factory=dict)
    ids: set[int] = field(default_factory=set)
    empty: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def _report(video: Video, sparse: bool, decode_images: bool) -> VideoReport:
    found = _Findings()
    for record in video.frames:
        _look_at(video, record, found, decode_image=decode_images)
    lacking = [frame.stem for frame in video.frames if frame.annotation is None]
    return VideoReport(
        name=video.name,
        subset=video.subset,
        encoding=video.encoding,
        coverage=video.coverage,
        frames=len(video.frames),
        annotated=len(video.annotated),
        sizes=tuple(found.sizes),
        object_ids=tuple(sorted(found.ids)),
        empty=tuple(found.empty),
        missing=tuple(lacking) if video.coverage == "some" and not sparse else (),
        mismatched=tuple(found.mismatched),
        unreadable=tuple(found.unreadable),
        extra=tuple(path.name for path in video.extra),
    )


def _look_at(video: Video, record: FrameRecord, found: _Findings, *, decode_image: bool) -> None:
    size: tuple[int, int] | None = None
    try:
        if record.image is not None:
            size = read_image(record).shape[:2] if decode_image else image_header(record.image)[:2]
    except InputError as error:
        found.unreadable.append(f"{error.what}: {error.why}")
    try:
        labels = decode_labels(record.annotation, encoding=video.encoding) if record.annotation is not None else None
    except InputError as error:
        found.unreadable.append(f"{error.what}: {error.why}")
        labels = None
    if labels is not None:
        ids = set(np.flatnonzero(np.bincount(labels.ravel(), minlength=256)).tolist()) - {0, VOID}
        found.ids |= ids
        if not ids:
            found.empty.append(record.stem)
        if size is not None and labels.shape != size:
            found.mismatched.append(record.stem)
        size = size or (labels.shape[0], labels.shape[1])
    if size is not None:
        found.sizes.setdefault(size)


def _problems(reports: list[VideoReport], notes: tuple[str, ...]) -> tuple[Problem, ...]:
    def cases(of: Callable[[VideoReport], Iterable[str]]) -> list[str]:
        return [
            report.name if item == report.name else f"{report.name}/{item}" for report in reports for item in of(report)
        ]

    def videos(which: Callable[[VideoReport], bool]) -> list[str]:
        return [report.name for report in reports if which(report)]

    unreadable = [line for report in reports for line in report.unreadable]
    found: list[tuple[bool, str, list[str]]] = [
        (True, "files cannot be read", unreadable),
        (True, "annotations do not have the size of their image", cases(lambda report: report.mismatched)),
        (True, "videos have no frames", videos(lambda report: not report.frames)),
        (False, "frames lack an annotation that others of their video have", cases(lambda report: report.missing)),
        (False, "annotations belong to no image", cases(lambda report: report.extra)),
        (False, "annotations are empty", cases(lambda report: report.empty)),
        (False, "videos have no annotation", videos(lambda report: bool(report.frames) and report.coverage == "none")),
        (False, "videos have images of several sizes", videos(lambda report: len(report.sizes) > 1)),
    ]
    return (
        *(
            Problem(
                severity="error" if serious else "warning",
                what=f"{len(examples)} {what}",
                examples=tuple(examples[:_EXAMPLES]),
            )
            for serious, what, examples in found
            if examples
        ),
        *(Problem(severity="warning", what=note) for note in notes),
    )
