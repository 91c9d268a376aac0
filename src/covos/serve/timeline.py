"""The timeline of a clip: all its frames at a glance, with those that stand out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from covos.core.types import SourceInfo
from covos.masks.frame_mask import FrameMask
from covos.masks.rle import RLE
from covos.prompts.seed_mask import SeedMask, confirmed_frames
from covos.runs.quality import SPAN, Flag, find_flags
from covos.runs.schema import FrameRow, StateRecord
from covos.serve.schema import Timeline


class Glance:
    """Makes timelines of one clip, and remembers what it has found of each frame.

    A frame is doubtful by its answer alone. An object that the user has shown there since, or said to be absent, is as
    the user wants it, and one that nothing has followed there yet has no answer: neither makes the frame, or a frame
    around it, doubtful.

    Args:
        info: Description of the clip.
    """

    def __init__(self, info: SourceInfo) -> None:
        self._info = info
        self._rows: dict[int, tuple[FrameMask, FrameRow]] = {}
        self._flags: dict[int, tuple[tuple[_Judged, ...], tuple[Flag, ...]]] = {}
        self._cuts: tuple[int, ...] = ()

    def timeline(
        self,
        known: Mapping[int, FrameMask],
        *,
        seeds: tuple[SeedMask, ...],
        names: tuple[int, ...],
        live: list[int],
        cuts: tuple[int, ...],
        corrected: Mapping[int, Set[int]] = MappingProxyType({}),
        found: frozenset[int] = frozenset(),
        more: bool = False,
    ) -> Timeline:
        """Return all frames at a glance.

        Args:
            known: The masks of frames as they are shown, by index.
            seeds: What the user has shown.
            names: Numbers of the objects.
            live: Frames of a track that goes on.
            cuts: Frames with which shots begin, ascending: a frame is compared with those of its shot.
            corrected: Objects that the user has shown since a track last went through a frame, by its index.
            found: Numbers of the objects that masks without states tell of.
            more: Further frames are on their way: one is judged once those that it is compared with are there.
        """
        if cuts != self._cuts:
            self._cuts = cuts
            self._flags.clear()
        count = self._info.frame_count
        absent: dict[int, set[int]] = {}
        for seed in seeds:
            if seed.is_absent:
                absent.setdefault(seed.frame, set()).add(seed.object)
        settled = {index: {*corrected.get(index, ()), *absent.get(index, ())} for index in known}
        judged = [self._judged(known[index], settled[index], found=found) for index in sorted(known)]
        flags: dict[int, tuple[Flag, ...]] = {}
        tracked = frozenset(live)
        for at, each in enumerate(judged):
            if more and not all(near in known for near in range(each.index + 1, min(count, each.index + 1 + SPAN))):
                continue
            answers = self._flags_of(judged, at, tracked=tracked)
            if serious := tuple(flag for flag in answers if flag.suspicion > 0):
                flags[each.index] = serious
        confirmed = confirmed_frames(seeds)
        sure = {each.index: each.confidence for each in judged}
        return Timeline(
            times=_times(known, self._info),
            confidence=tuple(sure.get(index) for index in range(count)),
            status=tuple(known[index].status if index in known else "unknown" for index in range(count)),
            flags=tuple(sorted(index for index in flags if index not in confirmed)),
            reasons={index: tuple(flag.text for flag in found) for index, found in flags.items()},
            confirmed=tuple(sorted(confirmed)),
            prompted={
                number: tuple(seed.frame for seed in seeds if seed.object == number and seed.frame not in confirmed)
                for number in names
            },
            objects={number: _stretches(known, number, count=count) for number in names},
            live=_runs(live),
            cuts=cuts,
            corrected=tuple(sorted({each for each in known if corrected.get(each)} - confirmed)),
        )

    def _judged(self, mask: FrameMask, corrected: Iterable[int], *, found: frozenset[int]) -> _Judged:
        kept = self._rows.get(mask.index)
        if kept is None or kept[0] is not mask:
            kept = self._rows[mask.index] = mask, row_of(mask)
        shown = frozenset(corrected)
        states = {each.id for each in mask.states} or found
        return _Judged(
            row=kept[1], shown=shown, told=(states | mask.objects.keys()) - shown, confidence=_sure(mask, shown)
        )

    def _flags_of(self, judged: list[_Judged], at: int, *, tracked: frozenset[int]) -> tuple[Flag, ...]:
        """Return the flags of a frame; they are found again where its row, or one near it, is another."""
        here = judged[at]
        # Around a track that goes on, the frames behind it have another answer than those before it.
        same = here.index in tracked
        near = tuple(each for each in judged[max(0, at - SPAN) : at + 1 + SPAN] if (each.index in tracked) == same)
        kept = self._flags.get(here.index)
        if kept is None or not _are_same(kept[0], near):
            rows = [each.of(here.told) for each in near]
            place = next(place for place, each in enumerate(near) if each is here)
            size = self._info.height, self._info.width
            kept = self._flags[here.index] = near, find_flags(rows, place, size=size, cuts=self._cuts)
        return kept[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """A frame, with what its answer tells of.

    Attributes:
        row: Its row.
        shown: Objects that the user has shown there since.
        told: Objects that its answer tells of, present or not.
        confidence: Of the answer for these; None where it is not known.
    """

    row: FrameRow
    shown: frozenset[int]
    told: Set[int]
    confidence: float | None

    @property
    def index(self) -> int:
        return self.row.index

    def of(self, objects: Set[int]) -> FrameRow:
        """Return the row with those of some objects that the answer tells of.

        Masks that the user shows are sure, and so are masks from elsewhere, which nothing rates.
        """
        kept = [identity for identity in self.row.objects if identity in objects and identity in self.told]
        sure = 1.0 if self.confidence is None and (self.shown or self.row.status == "ok") else self.confidence
        if len(kept) == len(self.row.objects) and sure == self.row.confidence:
            return self.row
        area = {identity: self.row.area[identity] for identity in kept}
        return self.row.model_copy(update={"objects": kept, "area": area, "confidence": sure})


def _are_same(one: tuple[_Judged, ...], two: tuple[_Judged, ...]) -> bool:
    return len(one) == len(two) and all(
        a.row is b.row and (a.shown, a.told) == (b.shown, b.told) for a, b in zip(one, two, strict=True)
    )


def _sure(mask: FrameMask, shown: frozenset[int]) -> float | None:
    """Return the confidence of the objects that the user has not shown since; None where it is not known."""
    rest = [each.confidence for each in mask.states if each.id not in shown]
    if not shown or (not rest and mask.objects.keys() - shown):
        sure = mask.confidence
    else:
        sure = sum(rest) / len(rest) if rest else math.nan
    return _share(sure)


def _share(confidence: float) -> float | None:
    """Return a confidence as a record has it; None where it is not known."""
    return min(1.0, max(0.0, float(confidence))) if math.isfinite(confidence) else None


def row_of(mask: FrameMask) -> FrameRow:
    """Return the part of a report's row that shows which frames stand out."""
    height, width = mask.size
    return FrameRow(
        index=mask.index,
        stem=mask.stem,
        pts=mask.pts,
        time=mask.time,
        status=mask.status,
        objects=list(mask.objects),
        area={identity: rle.area / (height * width) for identity, rle in mask.objects.items()},
        confidence=_share(mask.confidence),
        states={
            each.id: StateRecord(state=each.state, confidence=_share(each.confidence) or 0.0) for each in mask.states
        },
        seconds=0.0,
        box={identity: rle.bbox for identity, rle in mask.objects.items()},
        centre={identity: centre(rle) for identity, rle in mask.objects.items()},
    )


def centre(rle: RLE) -> tuple[float, float]:
    """Return the mean column and row of a mask that is not empty, without decoding it.

    A run that goes on at the top of the next column counts as if its rows went on below the frame: as good as never.
    """
    ends = np.cumsum(rle.counts, dtype=np.int64)
    starts, lengths = ends[:-1:2], rle.counts[1::2].astype(np.int64)
    middles = starts + (lengths - 1) / 2
    height, area = rle.size[0], max(1, int(lengths.sum()))
    column = float((lengths * (starts // height)).sum() / area)
    row = float((lengths * np.minimum(middles - starts // height * height, height - 1)).sum() / area)
    return column, row


def _times(known: Mapping[int, FrameMask], info: SourceInfo) -> tuple[float, ...]:
    """Return the times of all frames in seconds, ascending: those without masks go by the nearest that have some."""
    rate = float(info.frame_rate or 25)
    indices = np.arange(info.frame_count)
    if not known:
        return tuple((info.start / float(info.whole_rate or 25) + indices / rate).tolist())
    there = sorted(known)
    first, last = there[0], there[-1]
    times = np.interp(indices, there, [known[index].time for index in there])
    times += (np.minimum(indices - first, 0) + np.maximum(indices - last, 0)) / rate
    return tuple(times.tolist())


def _runs(frames: Iterable[int]) -> tuple[tuple[int, int], ...]:
    found: list[tuple[int, int]] = []
    for frame in frames:
        if found and found[-1][1] == frame:
            found[-1] = (found[-1][0], frame + 1)
        else:
            found.append((frame, frame + 1))
    return tuple(found)


def _stretches(known: Mapping[int, FrameMask], number: int, *, count: int) -> tuple[tuple[int, int, str], ...]:
    found: list[tuple[int, int, str]] = []
    for index in range(count):
        mask = known.get(index)
        if mask is None:
            continue
        told = next((each.state for each in mask.states if each.id == number), None)
        state = told or ("present" if number in mask.objects else "absent")
        if found and found[-1][1] == index and found[-1][2] == state:
            found[-1] = (found[-1][0], index + 1, state)
        else:
            found.append((index, index + 1, state))
    return tuple(found)
