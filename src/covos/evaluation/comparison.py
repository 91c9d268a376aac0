"""How sure a score is, and whether two differ: bootstrap over sequences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from covos.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from covos.evaluation.results import Evaluation


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How one result differs from another on the same sequences.

    Attributes:
        value: The other's J&F less the first's.
        interval: Of that difference; None with fewer than two sequences.
    """

    value: float
    interval: Interval | None

    @property
    def is_within_chance(self) -> bool:
        """Whether the interval holds 0 (or there is none): with other sequences the order might be the reverse."""
        return self.interval is None or self.interval.low <= 0 <= self.interval.high


def confidence(evaluation: Evaluation, *, measure: Measure = "J&F") -> Interval | None:
    """Between which values the overall score would lie with other sequences of the same kind.

    Sequences are drawn anew, with replacement, 10,000 times, and scored together as the protocol does; the interval
    is that of the middle 95 % (percentile bootstrap: Efron and Tibshirani, "An Introduction to the Bootstrap",
    1993, chapter 13). Sequences, not frames or objects, are drawn, as those of one sequence are alike. The draw is
    the same at every call.

    Returns:
        The interval; None with fewer than two sequences.
    """
    if len(evaluation.sequences) < 2:
        return None
    return _interval(_resampled(evaluation, measure))


def difference(first: Evaluation, other: Evaluation) -> Difference:
    """The difference of two results in J&F, with the interval of the difference under the same draws of sequences.

    Raises:
        UsageError: They were not scored by the same protocol on the same sequences.
    """
    names = [[sequence.name for sequence in each.sequences] for each in (first, other)]
    if first.protocol != other.protocol or names[0] != names[1]:
        raise UsageError(
            f"{first.predictions} and {other.predictions} cannot be compared",
            why="they were not scored by the same protocol on the same sequences",
            fix="score both against one ground truth with one protocol",
        )
    interval = None
    if len(first.sequences) > 1:
        interval = _interval(_resampled(other, "J&F") - _resampled(first, "J&F"))
    return Difference(value=other.scores.jf - first.scores.jf, interval=interval)


def _interval(values: NDArray[np.float64]) -> Interval:
    low, high = np.nanquantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(low=float(low), high=float(high))


def _resampled(evaluation: Evaluation, measure: Measure) -> NDArray[np.float64]:
    """The overall score of each draw; NaN where a draw has no object of one group."""
    count = len(evaluation.sequences)
    draws = np.random.default_rng(_SEED).multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    groups: Sequence[bool | None] = (True, False) if evaluation.groups else (None,)
    means = [_group_means(evaluation, measure, draws, seen=seen) for seen in groups]
    total: NDArray[np.float64] = np.mean(means, axis=0)
    return total


def _group_means(
    evaluation: Evaluation, measure: Measure, draws: NDArray[np.int64], *, seen: bool | None
) -> NDArray[np.float64]:
    sums, counts = [], []
    for sequence in evaluation.sequences:
        chosen = [score for score in sequence.objects if seen is None or score.seen is seen]
        values = {
            "J&F": [score.jf for score in chosen],
            "J": [score.j_statistics.mean for score in chosen],
            "F": [score.f_statistics.mean for score in chosen],
        }[measure]
        sums.append(sum(values))
        counts.append(len(chosen))
    totals = (draws @ np.array(counts)).astype(np.float64)
    totals[totals == 0] = np.nan
    means: NDArray[np.float64] = draws @ np.array(sums) / totals
    return means


# Short names for results that are compared.


def result_names(paths: Sequence[Path]) -> list[str]:
    """The last folders of each path, as many as it takes to tell the paths apart.

    Raises:
        UsageError: A path is given twice.
    """
    parts = [path.absolute().parts for path in paths]
    for depth in range(1, max(map(len, parts)) + 1):
        names = ["/".join(each[-depth:]).removeprefix("//") for each in parts]
        if len(set(names)) == len(names):
            return names
    twice = next(path for path in paths if list(paths).count(path) > 1)
    raise UsageError(f"{twice} is given twice", why="a result is compared with others", fix="name each result once")
