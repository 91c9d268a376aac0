"""Watch a run's rows go by: flag the unusual ones, and keep small pictures of those to look at first."""

from __future__ import annotations

from array import array
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np

from covos.masks import draw_overlay
from covos.outputs.quality import SPAN, Flag, find_flags, suspicion
from covos.outputs.schema import FrameRow
from covos.types import FrameResult, ImageArray, LabelArray

MOST_SHOWN = 24
APART = 12
"""Frames between two that are shown: neighbours of a bad frame are bad too, and mending one may mend them."""
_WIDTH = 320


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A frame to look at.

    Attributes:
        row: Of the report.
        flags: Why.
        suspicion: See `covos.outputs.quality.suspicion`.
        picture: Small, the objects drawn over it.
    """

    row: FrameRow
    flags: tuple[Flag, ...]
    suspicion: float
    picture: ImageArray


@dataclass(slots=True)
class Series:
    """An object over time: positions of the frames that have it, and its share of their pixels."""

    at: array[int] = field(default_factory=lambda: array("q"))
    area: array[float] = field(default_factory=lambda: array("d"))


class Watch:
    """Takes rows in order and gives each back with its flags, `SPAN` rows later.

    Memory: `MOST_SHOWN` small pictures, some more for frames not judged yet, 16 bytes a frame and 16 an object in it.

    Args:
        size: (height, width) of the frames.

    Attributes:
        count: Rows judged.
        suspicious: How many of them have a flag that counts.
        kinds: How many have each kind of flag.
        times: Of each frame, in seconds.
        confidence: Of each frame; NaN where there is none.
        objects: Over time.
        marks: Positions of the suspicious frames.
    """

    def __init__(self, *, size: tuple[int, int]) -> None:
        self._size = size
        self._shrink = max(1, min(-(-size[1] // _WIDTH), *size))
        self._rows: deque[FrameRow] = deque()
        self._pictures: deque[tuple[ImageArray, LabelArray]] = deque()
        self._judged = 0  # of those in the window, from its left
        self._shown: list[Seen] = []
        self.count = 0
        self.kinds: Counter[str] = Counter()
        self.times = array("d")
        self.confidence = array("d")
        self.objects: dict[int, Series] = {}
        self.marks = array("q")

    @property
    def suspicious(self) -> int:
        """How many of the rows have a flag that counts."""
        return len(self.marks)

    def add(self, row: FrameRow, result: FrameResult) -> Iterator[FrameRow]:
        """Take the next row; give the one that can be judged now, if any."""
        by = self._shrink
        height, width = (side // by for side in self._size)
        # By a whole number: averaging areas that share pixels takes several times as long.
        whole = result.frame.image[: height * by, : width * by]
        image = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)
        labels = result.labels[by // 2 : height * by : by, by // 2 : width * by : by].copy()
        self._rows.append(row)
        self._pictures.append((np.asarray(image, np.uint8), labels))
        if len(self._rows) - self._judged > SPAN:
            yield self._judge()

    def rest(self) -> Iterator[FrameRow]:
        """Judge the last rows, after which there is nothing."""
        while self._judged < len(self._rows):
            yield self._judge()

    def first(self) -> list[Seen]:
        """The frames to look at first, the most suspicious first."""
        return sorted(self._shown, key=lambda seen: -seen.suspicion)

    def _judge(self) -> FrameRow:
        at = self._judged
        row = self._rows[at]
        flags = find_flags(list(self._rows), at, size=self._size)
        worth = suspicion(flags)
        row["flags"] = list(dict.fromkeys(flag.kind for flag in flags))
        row["suspicion"] = round(worth, 3)
        self._note(row, worth)
        if worth > 0:
            self._show(row, flags, worth, *self._pictures[at])
        self._judged += 1
        if self._judged > SPAN:
            self._rows.popleft()
            self._pictures.popleft()
            self._judged -= 1
        return row

    def _note(self, row: FrameRow, worth: float) -> None:
        if worth > 0:
            self.marks.append(self.count)
        self.kinds.update(row["flags"])
        self.times.append(row["time"])
        self.confidence.append(float("nan") if row["confidence"] is None else row["confidence"])
        for identity in row["objects"]:
            series = self.objects.setdefault(identity, Series())
            series.at.append(self.count)
            series.area.append(row["area"][str(identity)])
        self.count += 1

    def _show(
        self, row: FrameRow, flags: tuple[Flag, ...], worth: float, image: ImageArray, labels: LabelArray
    ) -> None:
        rival = next((seen for seen in self._shown if row["index"] - seen.row["index"] < APART), None)
        if rival is None and len(self._shown) == MOST_SHOWN:
            rival = min(self._shown, key=lambda seen: seen.suspicion)
        if rival is not None:
            if rival.suspicion >= worth:
                return
            self._shown.remove(rival)
        self._shown.append(Seen(row=row, flags=flags, suspicion=worth, picture=draw_overlay(image, labels)))
