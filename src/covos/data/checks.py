"""Look through a data set before a training trips over it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np

from covos.core.device import usable_cpus
from covos.core.errors import InputError, UsageError
from covos.core.records import Record
from covos.core.types import LabelArray, ProbabilityArray
from covos.data.base import Coverage, Encoding, FrameRecord
from covos.data.dataset import Dataset
from covos.data.measures import Statistics, VideoMeasures, summarise
from covos.data.reading import decode_labels, read_image
from covos.data.video import Video
from covos.masks import VOID, read_soft_mask
from covos.media.images import image_header

_EXAMPLES = 5
_MOST_THREADS = 8  # beyond, the disk is the limit
T = TypeVar("T")
R = TypeVar("R")


class VideoReport(Record):
    """The findings in one video.

    Attributes:
        name: As in the data set.
        subset: As in the data set.
        encoding: Encoding by which its annotations were read.
        coverage: Tells which of its frames are annotated.
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


class Problem(Record):
    """Something to know before training.

    Attributes:
        severity: ``"error"`` stops a training or spoils it, ``"warning"`` may be as it should be.
        what: One line with the number of cases.
        examples: The first cases.
    """

    severity: Literal["error", "warning"]
    what: str
    examples: tuple[str, ...] = ()


class Inspection(Record):
    """The findings in a data set.

    Attributes:
        name: Name of the data set.
        layout: Layout of the data set.
        root: Folder of the data set.
        videos: One report for each video.
        problems: Errors first.
        statistics: Numbers of the masks that can be read: sizes, objects, values.
    """

    name: str
    layout: str
    root: str
    videos: tuple[VideoReport, ...]
    problems: tuple[Problem, ...]
    statistics: Statistics

    @property
    def usable(self) -> bool:
        """True if no problem is an error."""
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
        """Return everything as plain values for JSON; sizes are [height, width]."""
        totals = {
            "videos": len(self.videos),
            "frames": self.frames,
            "annotated": self.annotated,
            "objects": self.objects,
            "empty": self.empty,
            "usable": self.usable,
        }
        return {**self.model_dump(mode="json"), "totals": totals}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CheckedFrame:
    """A frame's files as they were read, each None if it is missing or unreadable, and their faults."""

    size: tuple[int, ...] | None
    labels: LabelArray | None
    share: ProbabilityArray | None
    """A soft mask as it is; None for other encodings."""
    ids: frozenset[int]
    """Object ids that occur, background and void left out."""
    pixels: tuple[int, ...]
    """Number of pixels of each value of the annotation, from 0 to 255; none without one."""
    unreadable: tuple[str, ...]
    """One line for each file that cannot be read."""

    @property
    def empty(self) -> bool:
        """True if the annotation shows no object."""
        return self.labels is not None and not self.ids

    @property
    def mismatched(self) -> bool:
        """True if the annotation does not have the image's size."""
        return self.labels is not None and self.size is not None and self.labels.shape != self.size


def check_frame(video: Video, record: FrameRecord, *, decode_image: bool) -> CheckedFrame:
    """Read a frame's annotation and its image (or its header alone), as far as there are any, and note their faults."""
    unreadable = []
    size: tuple[int, ...] | None = None
    labels = share = None
    try:
        if record.image is not None:
            size = read_image(record).shape[:2] if decode_image else image_header(record.image)[:2]
    except InputError as error:
        unreadable.append(f"{error.what}: {error.why}")
    try:
        if record.annotation is not None and video.encoding == "soft":
            share = read_soft_mask(record.annotation)
            labels = (share > 0.5).view(np.uint8)
        elif record.annotation is not None:
            labels = decode_labels(record.annotation, encoding=video.encoding)
    except InputError as error:
        unreadable.append(f"{error.what}: {error.why}")
    counts = np.zeros(0, np.int64) if labels is None else np.bincount(labels.ravel(), minlength=256)
    ids = frozenset(np.flatnonzero(counts).tolist()) - {0, VOID}
    return CheckedFrame(
        size=size, labels=labels, share=share, ids=ids, pixels=tuple(counts.tolist()), unreadable=tuple(unreadable)
    )


def map_in_threads(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Yield what a function that reads files returns for each item, in order; read ahead in several threads."""
    with ThreadPoolExecutor(min(usable_cpus(), _MOST_THREADS)) as pool:
        yield from pool.map(function, items)  # a caller that stops cancels what has not begun


def inspect(
    dataset: Dataset, *, decode_images: bool = True, on_frames: Callable[[int], object] | None = None
) -> Inspection:
    """Read every annotation and every image, and list what does not fit.

    Args:
        dataset: The data set.
        decode_images: If false, read the header of each image alone: several times as fast, but an image that is cut
            off is not found.
        on_frames: Called once a video, with the number of its frames.

    Raises:
        UsageError: It is not one data set.
    """
    if not isinstance(dataset, Dataset):
        raise UsageError(
            f"a {type(dataset).__name__} is no data set",
            why="one open data set is looked through",
            fix="open it first: covos.data.open_dataset(root); take those of a collection one by one",
        )
    # In YouTube-VOS, every fifth frame is annotated.
    sparse = dataset.layout == "youtube-vos"
    reports, measures = [], []
    looked_at = map_in_threads(lambda video: _look_at(video, sparse=sparse, decode_images=decode_images), dataset)
    for report, measured in looked_at:
        reports.append(report)
        measures.append(measured)
        if on_frames:
            on_frames(report.frames)
    return Inspection(
        name=dataset.name,
        layout=dataset.layout,
        root=str(dataset.root),
        videos=tuple(reports),
        problems=_problems(reports, dataset.notes),
        statistics=summarise(
            dataset.name, measures, subsets={name: len(videos) for name, videos in dataset.splits.items()}
        ),
    )


def statistics(dataset: Dataset | Video, *, on_frames: Callable[[int], object] | None = None) -> Statistics:
    """Measure the masks of a data set: lengths, sizes and counts of objects, where the subject is and moves.

    Every annotation is read once, and the header of every image; `inspect` finds the same on its way.

    Args:
        dataset: The data set, or one video.
        on_frames: Called once a video, with the number of its frames.

    Returns:
        A record; ``print`` shows it as a table, ``to_dict()`` gives plain values.

    Raises:
        UsageError: It is neither.
    """
    if isinstance(dataset, Video):
        _, measures = _look_at(dataset, sparse=False, decode_images=False)
        if on_frames:
            on_frames(len(dataset))
        subsets = {} if dataset.subset is None else {dataset.subset: 1}
        return summarise(dataset.name, [measures], subsets=subsets)
    return inspect(dataset, decode_images=False, on_frames=on_frames).statistics


def _look_at(video: Video, *, sparse: bool, decode_images: bool) -> tuple[VideoReport, VideoMeasures]:
    measures = VideoMeasures(picture=video.kind == "image", frames=len(video))
    ids: set[int] = set()
    empty: list[str] = []
    mismatched: list[str] = []
    unreadable: list[str] = []
    for record in video.frames:
        frame = check_frame(video, record, decode_image=decode_images)
        ids |= frame.ids
        unreadable += frame.unreadable
        empty += [record.stem] if frame.empty else []
        mismatched += [record.stem] if frame.mismatched else []
        if frame.labels is not None:
            measures.add(frame.labels, pixels=frame.pixels)
        if size := frame.size or (None if frame.labels is None else frame.labels.shape):
            measures.sizes[size[0], size[1]] += 1
    lacking = [frame.stem for frame in video.frames if frame.annotation is None]
    report = VideoReport(
        name=video.name,
        subset=video.subset,
        encoding=video.encoding,
        coverage=video.coverage,
        frames=len(video.frames),
        annotated=len(video.annotated),
        sizes=tuple(measures.sizes),
        object_ids=tuple(sorted(ids)),
        empty=tuple(empty),
        missing=tuple(lacking) if video.coverage == "some" and not sparse else (),
        mismatched=tuple(mismatched),
        unreadable=tuple(unreadable),
        extra=tuple(path.name for path in video.extra),
    )
    return report, measures


def _problems(reports: list[VideoReport], notes: tuple[str, ...]) -> tuple[Problem, ...]:
    def frames(field: str) -> list[str]:
        # A picture has the name of its only frame.
        cases = ((report.name, case) for report in reports for case in getattr(report, field))
        return [name if name == case else f"{name}/{case}" for name, case in cases]

    def videos(is_one: Callable[[VideoReport], bool]) -> list[str]:
        return [report.name for report in reports if is_one(report)]

    errors = {
        "files cannot be read": [line for report in reports for line in report.unreadable],
        "annotations do not have the size of their image": frames("mismatched"),
        "videos have no frames": videos(lambda report: not report.frames),
    }
    warnings = {
        "frames lack an annotation that others of their video have": frames("missing"),
        "annotations belong to no image": frames("extra"),
        "annotations are empty": frames("empty"),
        "videos have no annotation": videos(lambda report: report.frames > 0 and report.coverage == "none"),
        "videos have images of several sizes": videos(lambda report: len(report.sizes) > 1),
    }
    kinds: tuple[tuple[Literal["error", "warning"], dict[str, list[str]]], ...]
    kinds = (("error", errors), ("warning", warnings))
    return (
        *(
            Problem(severity=severity, what=f"{len(cases)} {what}", examples=tuple(cases[:_EXAMPLES]))
            for severity, found in kinds
            for what, cases in found.items()
            if cases
        ),
        *(Problem(severity="warning", what=note) for note in notes),
    )
