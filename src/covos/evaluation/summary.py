"""Mean, recall and decay of a measure over the frames of a sequence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from covos.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

RECALL_THRESHOLD = 0.5
_BINS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """How a measure behaves over a sequence.

    Attributes:
        mean: Mean over the frames, in [0, 1].
        recall: Fraction of frames strictly above 0.5.
        decay: Mean of the first quarter less mean of the last: positive where quality is lost over time.
    """

    mean: float
    recall: float
    decay: float


def statistics(values: Sequence[float] | NDArray[np.floating]) -> Statistics:
    """Mean, recall and decay of per-frame values, as the DAVIS toolkits define them.

    Source: Perazzi et al., CVPR 2016, section 4.2. The toolkits cut a sequence into four bins that share their
    end frames. They keep the ends as 8-bit numbers, which wrap from 256 frames up and then give NaN or another
    part of the sequence; here the ends are exact at any length, and equal to theirs below it.

    Args:
        values: T finite values, one a scored frame, in order.

    Raises:
        UsageError: There is no value, or one is not finite.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or not x.size or not np.isfinite(x).all():
        raise UsageError(
            f"no statistics of {x.size} values of shape {x.shape}",
            why="a measure's statistics need one finite value or more, one a frame",
            fix="leave out frames that were not scored",
        )
    # MATLAB's round(linspace(1, T, 5)) - 1, which rounds halves up, in whole numbers.
    ends = [(i * (x.size - 1) + 2) // _BINS for i in range(_BINS + 1)]
    first, last = x[ends[0] : ends[1] + 1], x[ends[-2] : ends[-1] + 1]
    return Statistics(
        mean=float(x.mean()),
        recall=float((x > RECALL_THRESHOLD).mean()),
        decay=float(first.mean() - last.mean()),
    )
