"""Trim masks that are there: the frames of a range, as if no others had been segmented."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from math import ceil
from typing import Final, Protocol

from covos.core.errors import listed
from covos.core.progress import counted
from covos.core.types import SourceInfo
from covos.masks.frame_mask import FrameMask
from covos.media.damage import MAY_BE_MISSING, damage_in_words, damage_of_part
from covos.media.missing import spans
from covos.media.range import Range
from covos.media.source import Health

_PICTURES: Final = ("cannot be read", "damaged and painted over")
"""Damages of pictures, as a folder of them says it."""


class Placed(Protocol):
    """A frame of a result, or its row in a report."""

    @property
    def number(self) -> int:
        """Its number in the whole source."""

    @property
    def stem(self) -> str:
        """Its name: that of its file without the suffix, if it has one."""

    @property
    def pts(self) -> int:
        """Its time in units of ``time_base``."""

    @property
    def time_base(self) -> Fraction:
        """Seconds."""


@dataclass(frozen=True, kw_only=True)
class KeptFrames:
    """The frames of a result, as `Range.frames` looks at them: seconds count from the first of them."""

    info: SourceInfo
    frames: Sequence[Placed]

    @property
    def called(self) -> str:
        """Its name in messages: it may hold less than the source, so it is named as the result."""
        return f"the result of {self.info.path}"

    @cached_property
    def numbers(self) -> Sequence[int]:
        """Numbers of its frames in the whole source, ascending."""
        return [frame.number for frame in self.frames]

    @property
    def stems(self) -> Sequence[str]:
        """Names of the pictures' files without suffixes; none of a video."""
        return [frame.stem for frame in self.frames] if self.info.kind == "frames" else []

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
    if range.takes_all and not info.is_part:
        return tuple(frames), replace(info, times=range.times, whole=True), health, tuple(cuts)
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
        whole=False,
        frame_count=count,
        frame_rate=rate,
        duration=None if rate is None else float(count / rate),
    )
    damage = _damage(frames, kept, info=info, health=health, taken=taken, every=every)
    later = (bisect_left(kept, cut, key=lambda frame: frame.index) for cut in cuts)
    begin = tuple(sorted({placed[at].index for at in later if 0 < at < len(placed)}))
    return placed, part, damage, begin


def _damage(
    frames: Sequence[FrameMask],
    kept: Sequence[FrameMask],
    *,
    info: SourceInfo,
    health: Health,
    taken: range,
    every: int,
) -> Health:
    """Return the damage of the frames that are kept, as if the source had been read from the first to the last.

    Args:
        frames: See `trimmed`.
        kept: Some of them.
        info: See `trimmed`.
        health: See `trimmed`.
        taken: Their positions in ``frames``; endless if they reach to the end.
        every: Numbers from one to the next.
    """
    first, last = kept[0].index, frames[-1].index
    if taken.stop < len(frames):
        stop = frames[taken.stop].index
    else:  # a slice of a result ends before the source does
        stop = taken.stop if taken.stop > len(frames) and last >= health.decoded - 1 else last + 1
    rate, warnings = info.whole_rate or Fraction(1), health.warnings
    if info.kind != "video":  # sentences on pictures name some of them, with reasons that are not kept
        warnings = tuple(each for each in warnings if not any(f" {what}: " in each for what in _PICTURES))
    by_index = {frame.index: frame for frame in frames}

    def in_words(some: Health) -> tuple[str, ...]:
        if info.kind == "video":
            return damage_in_words(
                some,
                time_of=lambda index: by_index[index].pts,
                shown=lambda times: spans(times, time_base=info.time_base, frame_rate=rate),
                ends=MAY_BE_MISSING in health.warnings,
            )
        return tuple(
            f"{counted(len(found), 'picture')} {what}: {listed([_name(by_index[index]) for index in found])}"
            for what, found in zip(_PICTURES, (some.unreadable, some.concealed), strict=True)
            if found
        )

    return damage_of_part(
        replace(
            health,
            concealed=tuple(index for index in health.concealed if index in by_index),
            unreadable=tuple(index for index in health.unreadable if index in by_index),
            warnings=warnings,
        ),
        range(first, stop, max(1, every // info.every)),
        known=last + 1,
        decoded=len(kept),
        is_done=True,
        place=lambda index: (index - first) * info.every // every,
        in_words=in_words,
    )


def _name(frame: FrameMask) -> str:
    return frame.file or frame.stem
