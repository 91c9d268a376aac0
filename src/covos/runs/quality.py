"""Find the frames to look at first: those that stand out from their neighbours, by the rows of a report.

No ground truth is needed, and none of this proves a mask wrong: ``docs/report.md`` says how often it was. The
thresholds were set with an earlier network, so that at least three in ten frames that one flags in the DAVIS 2016
training sequences have J below 0.5 (``benchmarks/quality.py``). ``empty`` and ``border`` state a fact.
"""

from __future__ import annotations

import math
import statistics
from array import array
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Literal, TypeAlias

from covos.core.types import FrameResult, ImageArray, LabelArray
from covos.masks import draw_overlay
from covos.media.picture import picture_at, reduced
from covos.runs.schema import FrameRow

Kind: TypeAlias = Literal["uncertain", "area jump", "position jump", "lost", "empty", "border"]

KINDS: Final[dict[Kind, str]] = {
    "uncertain": "confidence below 0.85: of the subject, or of an object that is followed",
    "area jump": "an object is more than 1.5 times as large, or as small, as around this frame",
    "position jump": "an object is more than half its size away from where it is around this frame",
    "lost": "an object of the last four frames is gone",
    "empty": "no object is in the frame: not counted as suspicious",
    "border": "an object touches the edge of the picture: not counted as suspicious",
}
"""The meaning of each flag."""

SPAN: Final = 4
"""Frames on each side that a frame is compared with."""

_CONFIDENCE = 0.85
_AREA = 1.5
_MOVE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """Something unusual about a frame, in words with the value.

    Its suspicion is the distance beyond the threshold, in [0, 1]; 0 for a flag that only states a fact.
    """

    kind: Kind
    text: str
    suspicion: float


def find_flags(
    rows: Sequence[FrameRow], at: int, *, size: tuple[int, int], cuts: Sequence[int] = ()
) -> tuple[Flag, ...]:
    """Find the flags of the frame at a position among the rows of consecutive frames.

    ``size`` is (height, width) of the source; frames of another size are compared with those of that size alone, and
    frames of a shot with those of that shot. The ``cuts`` are the indices of the frames that begin one, ascending.
    """
    row = rows[at]
    size = row.size or size
    shot = bisect_right(cuts, row.index)
    earlier = [other for other in rows[max(0, at - SPAN) : at] if bisect_right(cuts, other.index) == shot]
    later = [other for other in rows[at + 1 : at + 1 + SPAN] if bisect_right(cuts, other.index) == shot]
    near = [other for other in (*earlier, *later) if other.size == row.size]
    flags = _uncertain(row)
    if not row.objects:
        # A street without a car is no fault; where an object goes away, "lost" asks for a look.
        flags.append(Flag(kind="empty", text="no object", suspicion=0.0))
    for identity in row.objects:
        flags += _of_object(identity, row, near, size=size)
    before = {identity for other in earlier for identity in other.objects}
    flags += [_flag("lost", f"object {identity} is gone", 0.25) for identity in sorted(before - {*row.objects})]
    return tuple(flags)


def suspicion(flags: Sequence[Flag]) -> float:
    """Return the suspicion of a frame, in [0, 1]: the chance that one of its flags is right, were they chances."""
    return 1 - math.prod(1 - flag.suspicion for flag in flags)


def _uncertain(row: FrameRow) -> list[Flag]:
    """Flag each object that is followed and present by itself: a mean over several would hide one."""
    if row.confidence is None:
        return [_flag("uncertain", "no confidence", 1.0)]
    if row.states:
        known = {f"object {each}: ": row.states[each].confidence for each in row.objects if each in row.states}
    else:
        known = {"": row.confidence}
    return [
        _flag("uncertain", f"{of}confidence {confidence:.2f}", 1 - confidence / _CONFIDENCE)
        for of, confidence in known.items()
        if confidence < _CONFIDENCE
    ]


def _of_object(identity: int, row: FrameRow, near: Sequence[FrameRow], *, size: tuple[int, int]) -> list[Flag]:
    flags = []
    others = [other for other in near if identity in other.area]
    pixels = row.area[identity] * size[0] * size[1]
    if len(others) > 1:
        usual = statistics.median(other.area[identity] for other in others)
        ratio = row.area[identity] / usual if usual else 1.0
        if not 1 / _AREA <= ratio <= _AREA:
            excess = 1 - _AREA / max(ratio, 1 / ratio)
            flags.append(_flag("area jump", f"object {identity} has {_spoken(ratio)} times its usual area", excess))
        x, y = (statistics.median(other.centre[identity][axis] for other in others) for axis in (0, 1))
        moved = math.hypot(row.centre[identity][0] - x, row.centre[identity][1] - y) / math.sqrt(pixels)
        if moved > _MOVE:
            flags.append(
                _flag("position jump", f"object {identity} is {moved:.1f} of its size away", 1 - _MOVE / moved)
            )
    left, top, width, height = row.box[identity]
    if left == 0 or top == 0 or left + width == size[1] or top + height == size[0]:
        flags.append(Flag(kind="border", text=f"object {identity} touches the edge", suspicion=0.0))
    return flags


def _spoken(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.2g}"


def _given(image: ImageArray) -> ImageArray:
    return image


def _flag(kind: Kind, text: str, excess: float) -> Flag:
    # Each flag weighs something: a frame with several is more suspicious than one that is far beyond one threshold.
    return Flag(kind=kind, text=text, suspicion=0.2 + 0.8 * excess)


MOST_SHOWN = 24
"""Most frames that are shown to look at."""
APART = 12
"""Frames between two that are shown: neighbours of a bad frame are bad too, and mending one may mend them."""
_WIDTH = 320


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A frame to look at: its row of the report, the reasons, and a small picture with the objects drawn over it."""

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
    """Watches a run's rows go by: gives each back with its flags, `SPAN` rows later; keeps the frames to look at first.

    Memory: `MOST_SHOWN` small pictures, some more for frames not judged yet, 16 bytes a frame and 16 an object in it.
    ``count`` rows are judged so far; ``kinds`` counts those with each kind of flag, ``marks`` holds the positions of
    the suspicious ones. ``confidence`` is NaN where a frame has none.
    """

    def __init__(self, *, size: tuple[int, int], cuts: Sequence[int] = ()) -> None:
        self._size = size
        self._cuts = cuts
        self._shrink = max(1, min(-(-size[1] // _WIDTH), *size))
        self._rows: deque[FrameRow] = deque()
        self._pictures: deque[tuple[Callable[[], ImageArray], LabelArray]] = deque()
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
        """Number of the rows that have a flag that counts."""
        return len(self.marks)

    def add(self, row: FrameRow, result: FrameResult) -> Iterator[FrameRow]:
        """Take the next row, and the result at the source's size; return the row that can be judged now, if any."""
        by = self._shrink
        height, width = (side // by for side in self._size)
        frame, size = result.frame, (height, width)
        if frame.later is None:
            # By a whole number: averaging areas that share pixels takes several times as long.
            whole = frame.image[: height * by, : width * by]
            picture = partial(_given, reduced(whole, size))
        else:
            picture = partial(picture_at, frame, size)  # few are shown, and the others are never made
        labels = result.labels[by // 2 : height * by : by, by // 2 : width * by : by].copy()
        self._rows.append(row)
        self._pictures.append((picture, labels))
        if len(self._rows) - self._judged > SPAN:
            yield self._judge()

    def rest(self) -> Iterator[FrameRow]:
        """Judge the last rows, once no more will come."""
        while self._judged < len(self._rows):
            yield self._judge()

    def first(self) -> list[Seen]:
        """Return the frames to look at, the most suspicious first."""
        return sorted(self._shown, key=lambda seen: -seen.suspicion)

    def _judge(self) -> FrameRow:
        at, row = self._judged, self._rows[self._judged]
        flags = find_flags(list(self._rows), at, size=self._size, cuts=self._cuts)
        worth = suspicion(flags)
        kinds = tuple(dict.fromkeys(flag.kind for flag in flags))
        row = row.model_copy(update={"flags": kinds, "suspicion": round(worth, 3)})
        if worth > 0:
            self.marks.append(self.count)
            self._show(row, flags, worth, *self._pictures[at])
        self.kinds.update(row.flags)
        self.times.append(row.time)
        self.confidence.append(float("nan") if row.confidence is None else row.confidence)
        for identity in row.objects:
            series = self.objects.setdefault(identity, Series())
            series.at.append(self.count)
            series.area.append(row.area[identity])
        self.count += 1
        self._judged += 1
        if self._judged > SPAN:
            self._rows.popleft()
            self._pictures.popleft()
            self._judged -= 1
        return row

    def _show(
        self,
        row: FrameRow,
        flags: tuple[Flag, ...],
        worth: float,
        picture: Callable[[], ImageArray],
        labels: LabelArray,
    ) -> None:
        rival = next((seen for seen in self._shown if row.index - seen.row.index < APART), None)
        if rival is None and len(self._shown) == MOST_SHOWN:
            rival = min(self._shown, key=lambda seen: seen.suspicion)
        if rival is not None:
            if rival.suspicion >= worth:
                return
            self._shown.remove(rival)
        self._shown.append(Seen(row=row, flags=flags, suspicion=worth, picture=draw_overlay(picture(), labels)))
