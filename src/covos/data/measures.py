"""Numbers that describe a data set: lengths of videos, sizes and counts of objects, where the subject is and moves."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from covos.core.progress import counted
from covos.core.records import Record
from covos.core.types import LabelArray, MaskArray
from covos.masks import VOID

SMALL, LARGE = 0.01, 0.25
"""Shares of the frame that bound small, middling and large objects. One of 1 % is 85 x 48 pixels at 854 x 480."""


class Spread(Record):
    """The spread of some numbers; all None if there are none.

    Attributes:
        count: How many numbers.
        least: The smallest.
        low: Ten in a hundred are below this.
        median: Half are below this.
        mean: Their mean.
        high: Ten in a hundred are above this.
        most: The largest.
    """

    count: int
    least: float | None = None
    low: float | None = None
    median: float | None = None
    mean: float | None = None
    high: float | None = None
    most: float | None = None

    @classmethod
    def of(cls, numbers: Sequence[float]) -> Spread:
        """Describe numbers, in any order."""
        if not numbers:
            return cls(count=0)
        least, low, median, high, most = (float(each) for each in np.quantile(numbers, (0, 0.1, 0.5, 0.9, 1)))
        mean = float(np.mean(numbers))
        return cls(count=len(numbers), least=least, low=low, median=median, mean=mean, high=high, most=most)


class SizeCount(Record):
    """The number of frames of a size.

    Attributes:
        height: In pixels.
        width: In pixels.
        frames: Number of frames.
    """

    height: int
    width: int
    frames: int


class Statistics(Record):
    """Numbers of a data set. Shares are in [0, 1]; those of a frame leave void out, and a soft mask counts above 0.5.

    Attributes:
        name: Name of the data set.
        videos: Number of videos.
        pictures: Number of still pictures.
        frames: Number of frames, pictures among them.
        annotated: Frames that have an annotation.
        empty: Annotations without any object.
        objects: Objects of all videos: ids that are seen.
        subsets: Name of each subset to the number of its videos.
        lengths: Frames of a video; of videos alone.
        annotated_lengths: Annotated frames of a video; of videos alone.
        sizes: Sizes of the frames, the commonest first.
        subject_area: Share of the frame that all objects together cover; empty annotations left out.
        object_area: Share of the frame that an object covers, each object of each frame.
        small: Share of those below 1 % of the frame.
        large: Share of those of 25 % or more.
        objects_a_frame: Number of objects to the number of annotated frames with so many.
        objects_a_video: Objects of a video, over all its frames.
        seen: Share of the annotated frames of its video in which an object is seen; of videos alone.
        center: (x, y) of the middle of the subject, mean over the frames, in shares of the width and height.
        at_border: Share of the frames whose subject touches the border of the picture.
        overlap: Intersection over union of the subject in an annotated frame and the next one of its video: 1 rests, 0
            is gone or elsewhere.
        void: Share of the annotated pixels that are void.
    """

    name: str
    videos: int
    pictures: int
    frames: int
    annotated: int
    empty: int
    objects: int
    subsets: dict[str, int]
    lengths: Spread
    annotated_lengths: Spread
    sizes: tuple[SizeCount, ...]
    subject_area: Spread
    object_area: Spread
    small: float | None
    large: float | None
    objects_a_frame: dict[int, int]
    objects_a_video: Spread
    seen: Spread
    center: tuple[float, float] | None
    at_border: float | None
    overlap: Spread
    void: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values for JSON."""
        return self.model_dump(mode="json")

    def __repr__(self) -> str:
        return f"Statistics({str(self).partition(chr(10))[0]})"

    def _repr_html_(self) -> str:
        """Show the table, for notebooks."""
        return f"<pre>{html.escape(str(self))}</pre>"

    def __str__(self) -> str:
        """A table of a few lines, for people."""
        things = ((self.videos, "video"), (self.pictures, "picture"))
        head = " and ".join(counted(count, what) for count, what in things if count) or "no videos"
        subsets = ", ".join(f"{name} {count}" for name, count in self.subsets.items())
        frames = f"{counted(self.frames, 'frame')}, {self.annotated} annotated ({self.empty} empty)"
        lines = [
            f"{self.name}: {head}" + (f" ({subsets})" if subsets else "") + f", {frames}, "
            f"{counted(self.objects, 'object')}",
            "sizes (width x height): "
            + (", ".join(f"{size.width} x {size.height} ({size.frames})" for size in self.sizes[:4]) or "none")
            + (f" and {len(self.sizes) - 4} more" if len(self.sizes) > 4 else ""),
            f"{'':32}{'least':>9}{'10 %':>9}{'median':>9}{'mean':>9}{'90 %':>9}{'most':>9}",
        ]
        rows = (
            ("frames of a video", self.lengths, "{:.4g}"),
            ("annotated frames of a video", self.annotated_lengths, "{:.4g}"),
            ("objects of a video or picture", self.objects_a_video, "{:.3g}"),
            ("subject's share of the frame", self.subject_area, "{:.2%}"),
            ("an object's share of the frame", self.object_area, "{:.2%}"),
            ("frames in which an object is", self.seen, "{:.0%}"),
            ("overlap with the next frame", self.overlap, "{:.3f}"),
        )
        for title, spread, form in rows:
            values = (spread.least, spread.low, spread.median, spread.mean, spread.high, spread.most)
            if spread.count:
                lines.append(f"{title:32}" + "".join(f"{form.format(value):>9}" for value in values))
        if self.objects_a_frame:
            frequent = ", ".join(f"{number}: {frames}" for number, frames in self.objects_a_frame.items())
            lines.append(f"frames by their number of objects: {frequent}")
        if self.small is not None and self.large is not None:
            lines.append(
                f"objects below {SMALL:.0%} of the frame: {self.small:.1%}, from {LARGE:.0%}: {self.large:.1%}"
            )
        if self.center is not None and self.at_border is not None and self.void is not None:
            lines.append(
                f"middle of the subject at ({self.center[0]:.2f}, {self.center[1]:.2f}) of width and height; at the "
                f"border in {self.at_border:.1%} of the frames; void: {self.void:.2%} of the pixels"
            )
        return "\n".join(lines)


@dataclass(kw_only=True)
class VideoMeasures:
    """Measures of the masks of one video, taken a frame at a time, in the order of time."""

    picture: bool
    frames: int
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    subject_area: list[float] = field(default_factory=list)
    object_area: list[float] = field(default_factory=list)
    counts: Counter[int] = field(default_factory=Counter)
    seen: Counter[int] = field(default_factory=Counter)
    centers: list[tuple[float, float]] = field(default_factory=list)
    at_border: int = 0
    overlap: list[float] = field(default_factory=list)
    void: float = 0.0
    """Sum over the frames of the share of pixels that are void."""
    _before: MaskArray | None = None
    _covered_before: int = 0

    @property
    def annotated(self) -> int:
        """Annotations that were measured."""
        return self.counts.total()

    def add(self, labels: LabelArray, *, pixels: Sequence[int]) -> None:
        """Measure an annotation, H x W, of which the number of pixels of each value from 0 to 255 is known."""
        valid = labels.size - pixels[VOID]
        self.void += pixels[VOID] / labels.size
        ids = [number for number in range(1, VOID) if pixels[number]]
        self.counts[len(ids)] += 1
        self.seen.update(ids)
        covered = valid - pixels[0]
        subject = labels != 0
        if pixels[VOID]:
            subject &= labels != VOID
        if not self.picture:
            if self._before is not None and self._before.shape == subject.shape:
                common = np.count_nonzero(subject & self._before)
                if either := covered + self._covered_before - common:
                    self.overlap.append(common / either)
            self._before, self._covered_before = subject, covered
        if not ids:
            return
        self.object_area += [pixels[number] / valid for number in ids]
        self.subject_area.append(covered / valid)
        # OpenCV's sums are several times as fast as numpy's.
        seen = subject.view(np.uint8)
        rows, columns = (cv2.reduce(seen, axis, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel() for axis in (1, 0))
        self.at_border += bool(rows[0] or rows[-1] or columns[0] or columns[-1])
        height, width = labels.shape
        self.centers.append(
            (
                float(columns @ (np.arange(width) + 0.5)) / covered / width,
                float(rows @ (np.arange(height) + 0.5)) / covered / height,
            )
        )


def summarise(name: str, measures: Iterable[VideoMeasures], *, subsets: dict[str, int]) -> Statistics:
    """Put the measures of all videos of a data set together."""
    every = list(measures)
    videos = [each for each in every if not each.picture]
    areas = [area for each in every for area in each.object_area]
    centers = [center for each in every for center in each.centers]
    counts = sum((each.counts for each in every), Counter[int]())
    sizes = sum((each.sizes for each in every), Counter[tuple[int, int]]())
    annotated = counts.total()
    shown = [each for each in every if each.annotated]
    mean = np.mean(centers, axis=0) if centers else None
    return Statistics(
        name=name,
        videos=len(videos),
        pictures=len(every) - len(videos),
        frames=sum(each.frames for each in every),
        annotated=annotated,
        empty=counts[0],
        objects=sum(len(each.seen) for each in every),
        subsets=subsets,
        lengths=Spread.of([each.frames for each in videos]),
        annotated_lengths=Spread.of([each.annotated for each in videos]),
        sizes=tuple(SizeCount(height=size[0], width=size[1], frames=count) for size, count in sizes.most_common()),
        subject_area=Spread.of([area for each in every for area in each.subject_area]),
        object_area=Spread.of(areas),
        small=sum(area < SMALL for area in areas) / len(areas) if areas else None,
        large=sum(area >= LARGE for area in areas) / len(areas) if areas else None,
        objects_a_frame=dict(sorted(counts.items())),
        objects_a_video=Spread.of([len(each.seen) for each in shown]),
        seen=Spread.of([times / each.annotated for each in videos for times in each.seen.values()]),
        center=None if mean is None else (float(mean[0]), float(mean[1])),
        at_border=sum(each.at_border for each in every) / len(centers) if centers else None,
        overlap=Spread.of([share for each in every for share in each.overlap]),
        void=sum(each.void for each in every) / annotated if annotated else None,
    )
