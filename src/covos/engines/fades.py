"""Fades: where one shot goes over into another by and by.

In the middle of a fade the picture is a mixture of one before it and one after it, and these are of different shots. A
camera that moves, or a thing that passes, shows other pictures than mixtures on the way. Black is a shot, too: a fade
through black has a cut where the first shot has half gone, or the second has half come, or both.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from typing import Final

import numpy as np

from covos.engines.looks import CHANGED, Look, is_other, tints_changed

REACHES: Final = (4, 9)
"""Frames from the middle to the two that are mixed: short ones find a fade of a third of a second, long ones one of a
second."""
MIXED: Final = 0.8
"""Distance of the middle picture from the mixture, over its distance from either if it were the mixture of both by
halves: 0 for a mixture, 1 for one of the two. Set on the training sequences of DAVIS (`benchmarks/cuts.py --fades`)."""
DARK: Final = 1.0
"""Mean difference of two pictures, in levels, below which they are taken for the same."""


class FadeDetector:
    """Finds the middles of fades in the looks at all frames; it holds the latest of them."""

    def __init__(self) -> None:
        self._looks: deque[tuple[int, Look]] = deque(maxlen=2 * max(REACHES) + 1)
        self._found: list[tuple[int, float]] = []

    def take(self, look: Look, *, index: int) -> None:
        """Take the look at the next frame."""
        self._looks.append((index, look))
        for reach in REACHES:
            if len(self._looks) > 2 * reach:
                middle, within = self._looks[-1 - reach]
                ratio = _mixed(self._looks[-1 - 2 * reach][1], within, look)
                if ratio < MIXED:
                    self._found.append((middle, ratio))

    def middles(self, cuts: Collection[int]) -> Iterator[int]:
        """Give the middle of each fade, ascending: where its picture is most of a mixture; beside a cut is none."""
        near = max(REACHES)
        clear = [each for each in sorted(self._found) if all(abs(each[0] - cut) > near for cut in cuts)]
        while clear:
            end = next((at for at in range(1, len(clear)) if clear[at][0] - clear[at - 1][0] > near), len(clear))
            yield min(clear[:end], key=lambda each: each[1])[0]
            clear = clear[end:]


def _mixed(before: Look, within: Look, after: Look) -> float:
    """Return how far a look is from the mixture of two of different shots; infinite if these are of one."""
    one, middle, other = (each.grey.astype(np.float32) for each in (before, within, after))
    apart = float(np.linalg.norm(one - other)) / 2
    # Light that goes up or down is no fade: it leaves the tints.
    if apart < DARK * np.sqrt(one.size) / 2 or tints_changed(before, after) <= CHANGED:
        return float("inf")
    ratio = float(np.linalg.norm(middle - (one + other) / 2)) / apart
    # The edges last: they take the longest.
    return ratio if ratio < MIXED and is_other(before, after) else float("inf")
