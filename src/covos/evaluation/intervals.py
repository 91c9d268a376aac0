"""Tell what chance does to a score: the interval it would lie in with other sequences, and a test of a difference.

Sequences are drawn anew, with replacement, 10,000 times, and scored together as the protocol does; the interval is that
of the middle 95 % (percentile bootstrap: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13).
Sequences, not frames or objects, are drawn, as those of one sequence are alike. The draw is the same at every call.

A difference of two results is tested by turning its signs round (Fisher's randomisation test for pairs: Efron and
Tibshirani, chapter 15): if neither result were better, each sequence could as well have favoured the other. The
bootstrap would not do for this: of six sequences its interval is too narrow (`tests/evaluation/test_comparison.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from covos.evaluation.scores import SequenceScores

Measure: TypeAlias = Literal["J&F", "J", "F"]

LEVEL = 0.95
RESAMPLES = 10_000
FEWEST = 6
"""Sequences that it takes to call a difference more than chance, and to give an interval.

If neither result were better, all of n sequences would favour the same one with chance 2 / 2^n, which is below 5 % from
n = 6 on.
"""
_SEED = 0
_EXACT = 12


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


def bounds(interval: Interval | None, *, sign: Literal["", "+"] = "", percent: bool = False) -> str:
    """Return both ends of an interval as text, or a dash."""
    if interval is None:
        return "-"
    scale, digits = (100, 1) if percent else (1, 3)
    return " to ".join(f"{scale * end:{sign}.{digits}f}" for end in (interval.low, interval.high))


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


def contributions(sequences: Sequence[SequenceScores], *, by_class: bool) -> NDArray[np.float64]:
    """Return the part of the overall J&F that each sequence brings; they add up to the whole.

    With ``by_class`` the overall score is the mean of seen and unseen classes.
    """
    parts = np.zeros(len(sequences))
    groups: Sequence[bool | None] = (True, False) if by_class else (None,)
    for group in groups:
        chosen = [[each for each in s.objects if group is None or each.seen is group] for s in sequences]
        sums = np.array([sum(each.scores.jf for each in objects) for objects in chosen])
        parts += sums / (sum(map(len, chosen)) * len(groups))
    return parts


def chance_of(differences: NDArray[np.float64]) -> float:
    """Return the chance p of a sum at least as far from 0, if each difference had either sign alike.

    Up to 12 differences all combinations of signs are tried; else 10,000 that are drawn, the same at every call.
    """
    count = len(differences)
    if count <= _EXACT:
        signs = np.array(list(product((-1.0, 1.0), repeat=count)))
    else:
        signs = np.random.default_rng(_SEED).choice((-1.0, 1.0), (RESAMPLES, count))
        signs[0] = 1  # what was found is one of the possible outcomes, so p is never 0
    sums = np.abs(signs @ differences)
    return float(np.mean(sums >= abs(differences.sum()) - 1e-12))


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
