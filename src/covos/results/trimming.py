"""Trim masks that are there: the frames of a range, as if no others had been segmented."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from math import ceil

from covos.core.errors import listed
from covos.core.progress import counted
from covos.core.types import SourceInfo
from covos.masks.frame_mask import FrameMask
from covos.media.range import Range
from covos.media.source import Health


@dataclass(frozen=True, kw_only=True)
class KeptFrames:
    """The frames of a result, as `Range.frames` looks at them: seconds count from the first of them."""

    info: SourceInfo
    frames: Sequence[FrameMask]

    @property
    def called(self) -> str:
        """Its name in messages: it may hold less than the source, so it is named as the result."""
        return f"the result of {self.info.path}"

    @cached_property
    def numbers(self) -> Sequence[int]:
        """Numbers of its frames in the whole source, ascending."""
        return [frame.number for frame in self.frames]

    @property
    def promised(self) -> int:
        """Number of frames."""
        return len(self.frames)

    @property
    def length(self) -> Fraction:
        """Seconds from the beginning of the first frame to the end of the last."""
        rate = self.info.frame_rate
        if rate is None:
            return Fraction(0)
        return (self._ticks[-1] - self._ticks[0]) * self.frames[0].time_base + 1 / rate

    def index_at(self, seconds: Fraction) -> int:
        """Return the position of the first frame that begins so long after the first one, or later."""
        return bisect_left(self._ticks, self._ticks[0] + ceil(seconds / self.frames[0].time_base))

    def index_of(self, number: int) -> int:
        """Return the position of the first frame of this number or a higher one; beyond the count if none could be."""
        return bisect_left(self.numbers, number) + max(0, number - self.numbers[-1] - self.info.every)

    @cached_property
    def _ticks(self) -> list[int]:
        return [frame.pts for frame in self.frames]


def trimmed(
    frames: Sequence[FrameMask], *, info: SourceInfo, health: Health, cuts: Sequence[int], range: Range
) -> tuple[tuple[FrameMask, ...], SourceInfo, Health, tuple[int, ...]]:
    """Return the frames of a range, the source as the part of it that they are, and the damage and cuts in that part.

    Args:
        frames: At least one, in the order of the source.
        info: Description of the source, or of the part of it that they are.
        health: The damage of that.
        cuts: Indices of the frames with which its shots begin, but for the first.
        range: Seconds count from the first of the frames, numbers are those of the whole source.

    Raises:
        UsageError: See `Range.frames`.
    """
    taken = range.frames(KeptFrames(info=replace(info, frame_count=len(frames)), frames=frames))
    kept = frames[taken.start : taken.stop : taken.step]
    first, every = kept[0].number, info.every * taken.step
    if any((frame.number - first) % every for frame in kept):
        every = 1  # there were masks for some of the frames alone
    placed = tuple(replace(frame, index=(frame.number - first) // every, source_index=frame.number) for frame in kept)
    rate = None if info.whole_rate is None else info.whole_rate / every
    count = placed[-1].index + 1
    part = replace(
        info,
        start=first,
        every=every,
        times=range.times,
        frame_count=count,
        frame_rate=rate,
        duration=None if rate is None else float(count / rate),
    )
    shift = kept[0].index
    lost = tuple(
        replace(each, after=(each.after - shift) // taken.step)
        for each in health.lost
        if shift <= each.after + 1 <= kept[-1].index
    )
    unread = [frame for frame in placed if frame.status == "unreadable"]
    named = listed([frame.file or frame.stem for frame in unread])
    damage = Health(
        decoded=len(placed),
        expected=len(placed) + len(lost),
        concealed=tuple(frame.index for frame in placed if frame.status == "concealed"),
        unreadable=tuple(frame.index for frame in unread),
        lost=lost,
        warnings=(f"{counted(len(unread), 'picture')} cannot be read: {named}",) if unread else (),
    )
    later = (bisect_left(kept, cut, key=lambda frame: frame.index) for cut in cuts)
    begin = tuple(sorted({placed[at].index for at in later if 0 < at < len(placed)}))
    return placed, part, damage, begin
