"""Look through a data set before a training trips over it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from covos.data.inspection import Inspection, Problem, VideoReport
from covos.data.reading import VOID, decode_labels, read_image
from covos.errors import InputError
from covos.media.images import image_header
from covos.runtime.threads import usable_cpus

if TYPE_CHECKING:
    from covos.data.base import Dataset, FrameRecord, Video

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
