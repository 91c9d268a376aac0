"""Cut decoded sound to the sample, while its end is not yet known."""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from typing import TYPE_CHECKING

import av

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.audio.frame import AudioFrame


_ROUNDED = Fraction(2, 1000)
"""Seconds by which a stated time may be off."""


class SoundCut:
    """Takes decoded sound from a start on, and holds back what may lie behind the end.

    Attributes:
        start: Seconds in the source; earlier samples are dropped.
        safe: Seconds; the end lies here or later.
    """

    def __init__(self) -> None:
        self.start = self.safe = Fraction(0)
        self._waiting: deque[AudioFrame] = deque()
        self._next: int | None = None  # time of the next sample, in samples

    def push(self, frames: list[AudioFrame]) -> Iterator[AudioFrame]:
        """Take frames in their order; yield those that certainly lie before the end."""
        for frame in frames:
            if (cut := self._from_start(frame)) is not None:
                self._waiting.append(cut)
        while self._waiting and self._end_of(self._waiting[0]) <= self.safe * self._waiting[0].sample_rate:
            yield self._waiting.popleft()

    def finish(self, end: Fraction) -> Iterator[AudioFrame]:
        """Yield the rest, cut at the end, in seconds."""
        for frame in self._waiting:
            last = round(end * frame.sample_rate) - (frame.pts or 0)
            if last > 0:
                yield _part(frame, 0, min(last, frame.samples))
        self._waiting.clear()

    @staticmethod
    def _end_of(frame: AudioFrame) -> int:
        return (frame.pts or 0) + frame.samples

    def _from_start(self, frame: AudioFrame) -> AudioFrame | None:
        """Return the part of a frame from the start on, with its time in samples; None if there is none."""
        rate = frame.sample_rate
        time = self._next if self._next is not None else round(self.start * rate)
        if frame.pts is not None and frame.time_base:
            stated = round(frame.pts * frame.time_base * rate)
            # Some containers round times: what follows without a gap is counted on.
            if self._next is None or abs(stated - time) > _ROUNDED * rate:
                time = stated
        self._next = time + frame.samples
        frame.pts, frame.time_base = time, Fraction(1, rate)
        first = round(self.start * rate) - time
        return _part(frame, max(0, first), frame.samples) if first < frame.samples else None


def _part(frame: AudioFrame, first: int, last: int) -> AudioFrame:
    """Return some samples of a frame."""
    if (first, last) == (0, frame.samples):
        return frame
    samples = frame.to_ndarray()
    step = 1 if frame.format.is_planar else len(frame.layout.channels)
    part = av.AudioFrame.from_ndarray(
        samples[:, first * step : last * step].copy(), format=frame.format.name, layout=frame.layout.name
    )
    part.sample_rate, part.time_base = frame.sample_rate, frame.time_base
    part.pts = (frame.pts or 0) + first
    return part
