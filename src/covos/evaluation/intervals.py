"""The interval in which a score would lie with other sequences: bootstrap over sequences.

Sequences are drawn anew, with replacement, 10,000 times, and scored together as the protocol does; the interval is that
of the middle 95 % (percentile bootstrap: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13).
Sequences, not frames or objects, are drawn, as those of one sequence are alike. The draw is the same at every call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from covos.evaluation.scores import SequenceScores

Measure: TypeAlias = Literal["J&F", "J", "F"]

LEVEL = 0.95
RESAMPLES = 10_000
_SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A 95 % interval, percentile bootstrap over sequences.

    Attributes:
        low: Its lower end.
        high: Its upper end.
    """

    low: float
    high: float

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Interval:
        """Return the interval that holds the middle 95 % of values; NaN is left out."""
        low, high = np.nanquantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return cls(low=float(low), high=float(high))


def bounds(interval: Interval | None, *, sign: Literal["", "+"] = "") -> str:
    """Return both ends of an interval as text, or a dash."""
    return "-" if interval is None else f"{interval.low:{sign}.3f} to {interval.high:{sign}.3f}"


def resampled(sequences: Sequence[SequenceScores], measure: Measure, *, by_class: bool) -> NDArray[np.float64]:
    """Return the overall score of each of the 10,000 draws; NaN where a draw has no object of one class.

    With ``by_class`` the score is the mean of seen and unseen classes.
    """
    count = len(sequences)
    draws = np.random.default_rng(_SEED).multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    groups: Sequence[bool | None] = (True, False) if by_class else (None,)
    means = [_group_means(sequences, measure, draws, seen=seen) for seen in groups]
    total: NDArray[np.float64] = np.mean(means, axis=0)
    return total


def _group_means(
    sequences: Sequence[SequenceScores], measure: Measure, draws: NDArray[np.int64], *, seen: bool | None
) -> NDArray[np.float64]:
    name = "J&F" if measure == "J&F" else f"{measure}-Mean"
    chosen = [[each for each in s.objects if seen is None or each.seen is seen] for s in sequences]
    sums = [sum(each.scores.numbers[name] for each in objects) for objects in chosen]
    totals = (draws @ np.array([len(objects) for objects in chosen])).astype(np.float64)
    totals[totals == 0] = np.nan
    means: NDArray[np.float64] = draws @ np.array(sums) / totals
    return means
