"""The timeline of a clip: all its frames at a glance, with those that stand out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np

from covos.core.types import SourceInfo
from covos.masks.frame_mask import FrameMask
from covos.masks.rle import RLE
from covos.prompts.seed_mask import SeedMask, confirmed_frames
from covos.runs.quality import SPAN, Flag, find_flags
from covos.runs.schema import FrameRow
from covos.serve.schema import Timeline


class Glance:
    """Makes timelines of one clip, and remembers what it has found of each frame.

    Args:
        info: Description of the clip.
    """

    def __init__(self, info: SourceInfo) -> None:
        self._info = info
        self._rows: dict[int, tuple[FrameMask, FrameRow]] = {}
        self._flags: dict[int, tuple[tuple[FrameRow, ...], tuple[Flag, ...]]] = {}
        self._cuts: tuple[int, ...] = ()

    def timeline(
        self,
        known: Mapping[int, FrameMask],
        *,
        seeds: tuple[SeedMask, ...],
        names: tuple[int, ...],
        live: list[int],
        cuts: tuple[int, ...],
    ) -> Timeline:
        """Return all frames at a glance.

        Args:
            known: The masks of frames as they are shown, by index.
            seeds: What the user has shown.
            names: Numbers of the objects.
            live: Frames of a track that goes on.
            cuts: Frames with which shots begin, ascending: a frame is compared with those of its shot.
        """
        if cuts != self._cuts:
            self._cuts = cuts
            self._flags.clear()
        count, rate = self._info.frame_count, float(self._info.frame_rate or 25)
        rows = [self._row(known[index]) for index in sorted(known)]
        flags: dict[int, tuple[Flag, ...]] = {}
        for at, row in enumerate(rows):
            found = self._flags_of(rows, at)
            if serious := tuple(flag for flag in found if flag.suspicion > 0):
                flags[row.index] = serious
        confirmed = confirmed_frames(seeds)
        times, confidence, status = [], [], []
        for index in range(count):
            mask = known.get(index)
            times.append(index / rate if mask is None else mask.time)
            confidence.append(None if mask is None or not math.isfinite(mask.confidence) else float(mask.confidence))
            status.append("unknown" if mask is None else mask.status)
        return Timeline(
            times=tuple(times),
            confidence=tuple(confidence),
            status=tuple(status),
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
        )

    def _row(self, mask: FrameMask) -> FrameRow:
        kept = self._rows.get(mask.index)
        if kept is None or kept[0] is not mask:
            kept = self._rows[mask.index] = mask, row_of(mask)
        return kept[1]

    def _flags_of(self, rows: list[FrameRow], at: int) -> tuple[Flag, ...]:
        """Return the flags of a frame; they are found again where its row, or one near it, is another."""
        near = tuple(rows[max(0, at - SPAN) : at + 1 + SPAN])
        kept = self._flags.get(rows[at].index)
        if kept is None or len(kept[0]) != len(near) or any(a is not b for a, b in zip(kept[0], near, strict=True)):
            flags = find_flags(rows, at, size=(self._info.height, self._info.width), cuts=self._cuts)
            kept = self._flags[rows[at].index] = near, flags
        return kept[1]


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
        confidence=min(1.0, max(0.0, mask.confidence)) if math.isfinite(mask.confidence) else None,
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
