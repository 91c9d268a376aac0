"""Mean absolute error and maximal F-measure of probability maps of still pictures.

They are the measures of the literature on salient objects, such as the table of U2-Net (Qin et al., *U2-Net: Going
Deeper with Nested U-Structure for Salient Object Detection*, Pattern Recognition 2020, section 4.3), with P a
probability map and G its true mask:

- MAE: the mean of abs(P - G) over the pixels of a picture, then over pictures.
- Maximal F: at each of 255 thresholds t the pixels with P >= t are compared with the truth. The precision p(t) and the
  recall r(t) are means over the pictures; F(t) = (1 + b) p(t) r(t) / (b p(t) + r(t)) with b = beta^2 = 0.3, which
  weighs precision more (Achanta et al., *Frequency-tuned Salient Region Detection*, CVPR 2009). The largest F(t)
  counts.

Maps are taken as they are: they are not stretched to [0, 1], as some toolboxes do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from covos.core.errors import UsageError
from covos.core.types import ProbabilityArray

BETA_SQUARED: Final = 0.3
LEVELS: Final = 255
"""Thresholds: k / 255 for k = 1 to 255, as of maps that are stored as bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SaliencyScores:
    """Scores of the maps of many pictures.

    Attributes:
        pictures: Their number.
        mae: Mean absolute error, in [0, 1]; 0 is best.
        max_f: Maximal F-measure, in [0, 1]; 1 is best.
        threshold: The threshold of the maximal F, in (0, 1]; the lowest of several.
    """

    pictures: int
    mae: float
    max_f: float
    threshold: float


class Saliency:
    """Takes the map of one picture after another; holds sums alone."""

    def __init__(self) -> None:
        self._pictures = 0
        self._error = 0.0
        self._precision: NDArray[np.float64] = np.zeros(LEVELS)
        self._recall: NDArray[np.float64] = np.zeros(LEVELS)

    def add(self, probability: ProbabilityArray, truth: ProbabilityArray) -> None:
        """Score a map.

        Precision is 0 where nothing is above the threshold, and recall is 0 where the truth is empty.

        Args:
            probability: H x W float32 in [0, 1].
            truth: H x W float32 in [0, 1]. For F, what is above 0.5 belongs to the subject.

        Raises:
            UsageError: They are of different sizes.
        """
        if probability.shape != truth.shape:
            raise UsageError(
                f"a map of shape {probability.shape} cannot be compared with a truth of shape {truth.shape}",
                why="pixels are compared one by one",
                fix="resize the map to the picture's size",
            )
        self._pictures += 1
        self._error += float(np.abs(probability - truth).mean(dtype=np.float64))
        level = (probability * np.float32(LEVELS)).astype(np.uint8)
        inside = truth > 0.5
        found, hit = _from_level_up(level), _from_level_up(level[inside])
        self._precision += hit / np.maximum(found, 1)
        self._recall += hit / np.maximum(np.count_nonzero(inside), 1)

    def scores(self) -> SaliencyScores:
        """Return the scores of all pictures so far.

        Raises:
            UsageError: There was none.
        """
        if not self._pictures:
            raise UsageError("there is nothing to score", why="no picture was added", fix="add pictures first")
        precision, recall = self._precision / self._pictures, self._recall / self._pictures
        weighed = BETA_SQUARED * precision + recall
        f = (1 + BETA_SQUARED) * precision * recall / np.where(weighed > 0, weighed, 1)
        best = int(f.argmax())
        return SaliencyScores(
            pictures=self._pictures,
            mae=self._error / self._pictures,
            max_f=float(f[best]),
            threshold=(best + 1) / LEVELS,
        )


def _from_level_up(level: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Count the pixels of each level from 1 to 255 and above."""
    counts = np.bincount(level.ravel(), minlength=LEVELS + 1)
    return np.cumsum(counts[::-1])[::-1][1:]
