"""Which frames to look at first: what is unusual about one beside its neighbours, told from the rows of a report.

No ground truth is needed, and none of this proves a mask wrong: ``docs/report.md`` has how often it was. The thresholds
were set so that at least three in ten frames that one flags in the DAVIS 2016 training sequences have J below 0.5
(``benchmarks/quality.py``). ``empty`` and ``border`` state a fact.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from covos.outputs.schema import FrameRow

Kind: TypeAlias = Literal["uncertain", "area jump", "position jump", "flicker", "lost", "empty", "border"]

KINDS: Final[dict[Kind, str]] = {
    "uncertain": "the probabilities are undecided: confidence below 0.85",
    "area jump": "an object is more than 1.5 times as large, or as small, as around this frame",
    "position jump": "an object is more than half its size away from where it is around this frame",
    "flicker": "an object overlaps both neighbours less than 0.7 times as much as is usual around this frame",
    "lost": "an object of the last four frames is gone",
    "empty": "no object is in the frame",
    "border": "an object touches the edge of the picture: not counted as suspicious",
}
"""What each flag means."""

SPAN: Final = 4
"""Frames on each side that a frame is compared with."""

_CONFIDENCE = 0.85
_AREA = 1.5
_MOVE = 0.5
_FLICKER = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """Something unusual about a frame.

    Attributes:
        kind: One of `KINDS`.
        text: In words, with the value.
        suspicion: In [0, 1]: how far beyond the threshold; 0 for what is only stated.
    """

    kind: Kind
    text: str
    suspicion: float


def find_flags(rows: Sequence[FrameRow], at: int, *, size: tuple[int, int]) -> tuple[Flag, ...]:
    """The flags of one frame.

    Args:
        rows: Of consecutive frames; those further than `SPAN` away are not looked at.
        at: Which of them.
        size: (height, width) of the frames.
    """
    row = rows[at]
    near = [*rows[max(0, at - SPAN) : at], *rows[at + 1 : at + 1 + SPAN]]
    flags = []
    confidence = row["confidence"]
    if confidence is None or confidence < _CONFIDENCE:
        text = "no confidence" if confidence is None else f"confidence {confidence:.2f}"
        flags.append(_flag("uncertain", text, 1 - (confidence or 0.0) / _CONFIDENCE))
    if not row["objects"]:
        flags.append(_flag("empty", "no object", 0.0))
    after = rows[at + 1] if at + 1 < len(rows) else None
    for identity in row["objects"]:
        flags += _of_object(str(identity), row, near, after, size=size)
    before = {identity for other in rows[max(0, at - SPAN) : at] for identity in other["objects"]}
    flags += [_flag("lost", f"object {identity} is gone", 0.25) for identity in sorted(before - {*row["objects"]})]
    return tuple(flags)


def suspicion(flags: Sequence[Flag]) -> float:
    """How suspicious a frame is, in [0, 1]: the chance that one of its flags is right, were they chances."""
    return 1 - math.prod(1 - flag.suspicion for flag in flags)


def _of_object(
    key: str, row: FrameRow, near: Sequence[FrameRow], after: FrameRow | None, *, size: tuple[int, int]
) -> list[Flag]:
    flags = []
    others = [other for other in near if key in other["area"]]
    pixels = row["area"][key] * size[0] * size[1]
    if len(others) > 1:
        usual = statistics.median(other["area"][key] for other in others)
        ratio = row["area"][key] / usual if usual else 1.0
        if not 1 / _AREA <= ratio <= _AREA:
            excess = 1 - _AREA / max(ratio, 1 / ratio)
            flags.append(_flag("area jump", f"object {key} has {ratio:.2g} times its usual area", excess))
        x, y = (statistics.median(other["centre"][key][axis] for other in others) for axis in (0, 1))
        moved = math.hypot(row["centre"][key][0] - x, row["centre"][key][1] - y) / math.sqrt(pixels)
        if moved > _MOVE:
            flags.append(_flag("position jump", f"object {key} is {moved:.1f} of its size away", 1 - _MOVE / moved))
        flags += _flicker(key, row, after, others)
    if _touches(row["box"][key], size):
        flags.append(Flag(kind="border", text=f"object {key} touches the edge", suspicion=0.0))
    return flags


def _flicker(key: str, row: FrameRow, after: FrameRow | None, others: Sequence[FrameRow]) -> list[Flag]:
    overlaps = [other["overlap"][key] for other in others if key in other["overlap"]]
    usual = statistics.median(overlaps) if overlaps else 0.0
    own = [row["overlap"].get(key, 1.0), *([] if after is None else [after["overlap"].get(key, 0.0)])]
    share = max(own) / usual if usual else 1.0
    if share >= _FLICKER:
        return []
    return [_flag("flicker", f"object {key} is there in part for one frame only", 1 - share / _FLICKER)]


def _flag(kind: Kind, text: str, excess: float) -> Flag:
    # Each flag weighs something: a frame with several is more suspicious than one that is far beyond one threshold.
    return Flag(kind=kind, text=text, suspicion=0.2 + 0.8 * excess)


def _touches(box: Sequence[int], size: tuple[int, int]) -> bool:
    left, top, width, height = box
    return left == 0 or top == 0 or left + width == size[1] or top + height == size[0]
