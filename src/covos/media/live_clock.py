"""Times of a live video as its pictures come: a jump of the clock is closed, as it is in a file."""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from statistics import median

_INTERVALS = 32
"""Intervals of which the usual one is found."""


class LiveClock:
    """Turns the times that pictures state into times that rise.

    A jump back, and one ahead by more than ``pause``, is closed: what follows goes on an interval after the picture
    before. So is a picture without a time. A jump ahead by less is a pause, and kept.

    Args:
        rate: Frames a second, as the stream says.
        pause: The longest pause in seconds.
    """

    def __init__(self, *, rate: Fraction, pause: Fraction) -> None:
        self._interval, self._pause = 1 / rate, pause
        self._steps: deque[Fraction] = deque(maxlen=_INTERVALS)
        self._shift: Fraction | None = None
        self._last, self._begun = Fraction(0), False

    def seconds(self, stated: Fraction | None) -> Fraction:
        """Return the time of the next picture since the first one.

        Args:
            stated: Its time in seconds by the stream's own clock; None if it has none.
        """
        begun, self._begun = self._begun, True
        if stated is not None and self._shift is not None:
            step = stated + self._shift - self._last
            if 0 < step <= self._pause:
                self._steps.append(step)
                self._last += step
                return self._last
        if begun:
            self._last += median(self._steps) if self._steps else self._interval
        if stated is not None:
            self._shift = self._last - stated
        return self._last
