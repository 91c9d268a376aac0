"""MaskEstimate the quality of a followed object's mask from all that is known of it.

The network judges itself (`DecodedObjects.present_P`, `DecodedObjects.quality_P`), and is too sure: it is trained on
clips of a few frames, in which little goes wrong. Its judgement is corrected by what shows when following has slipped:
undecided pixels, a mask where the long-term readout finds nothing, a jump in area. Two logistic regressions on these
signals (Platt, *Probabilistic outputs for support vector machines*, 1999, with several inputs) estimate the Jaccard
index of the mask, and the probability that the object is out of sight. Their weights belong to the weights of a
covos-follow and are kept in its card; `benchmarks/calibration.py --fit` finds them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from covos.models.follow import DecodedObjects

LIMIT = 8.0
"""Bound of logits among the signals."""
RIDGE = 1e-2
"""Weight of the squared distance from the guess, when weights are fitted."""

Weights: TypeAlias = tuple[float, ...]
"""One for each signal, and a constant."""


class Signals(NamedTuple):
    """Signals of an object in a frame. All but the last speak for the mask."""

    quality: float
    """Logit, by the network, of the mask's Jaccard index."""
    presence: float
    """Logit, by the network, that any of the object is to be seen."""
    decided: float
    """Logit of the Jaccard index that the mask is expected to have by its own probabilities."""
    agreement: float
    """In [0, 1]: overlap of the mask with what the long-term reading finds of the object."""
    match: float
    """In [-1, 1]: how much the mask's positions have in common with what is remembered."""
    jump: float
    """In [0, 2]: the log of the mask's area over the usual one, or of its inverse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Weights of the two regressions.

    Attributes:
        jaccard: For the Jaccard index.
        absent: For being out of sight.
    """

    jaccard: Weights
    absent: Weights

    @classmethod
    def from_card(cls, content: Mapping[str, Any]) -> Self | None:
        """Read a card's ``calibration``; None where there is none, or one of other signals."""
        weights = [tuple(float(each) for each in content.get(name, ())) for name in ("jaccard", "absent")]
        if any(len(each) != len(Signals._fields) + 1 for each in weights):
            return None
        return cls(jaccard=weights[0], absent=weights[1])


class MaskEstimate(NamedTuple):
    """Estimated quality of a mask."""

    jaccard: float
    """Expected Jaccard index; 0 where the object is out of sight."""
    absent: float
    """Probability that the object is out of sight."""


def estimate_mask(signals: Signals, calibration: Calibration | None) -> MaskEstimate:
    """MaskEstimate the quality of a mask; by the network's word alone if there is no calibration."""
    if calibration is None:
        presence = _sigmoid(signals.presence)
        return MaskEstimate(presence * _sigmoid(signals.quality), 1 - presence)
    return MaskEstimate(_applied(signals, calibration.jaccard), _applied(signals, calibration.absent))


def signals_of(decoded: DecodedObjects, *, usual: Sequence[float | None]) -> list[Signals]:
    """Gather the signals of each object.

    Args:
        decoded: Objects of one frame.
        usual: Area of each object as it has been, as a share of the frame; None where it has not been seen.
    """
    probability = decoded.logit_P1HW.sigmoid()[:, 0]
    solid = probability > 0.5
    inside = (probability * solid).sum(dim=(1, 2))
    decided = inside / (probability.sum(dim=(1, 2)) - inside + solid.sum(dim=(1, 2))).clamp(min=1e-6)
    long = decoded.read_P2hw[:, 0]
    small = F.interpolate(probability.unsqueeze(1), size=long.shape[1:], mode="area")[:, 0]
    either = torch.maximum(small, long).sum(dim=(1, 2)).clamp(min=1e-6)
    agreement = torch.minimum(small, long).sum(dim=(1, 2)) / either
    match = (decoded.match_Phw * small).sum(dim=(1, 2)) / small.sum(dim=(1, 2)).clamp(min=1e-6)
    area = solid.float().mean(dim=(1, 2))
    columns = torch.stack(
        [
            decoded.quality_P.clamp(-LIMIT, LIMIT),
            decoded.present_P.clamp(-LIMIT, LIMIT),
            torch.logit(decided, eps=1e-3),
            agreement,
            match,
            area,
        ],
        dim=1,
    ).tolist()
    return [Signals._make([*row[:-1], _jump(row[-1], before)]) for row, before in zip(columns, usual, strict=True)]


def fit(
    signals: NDArray[np.float64],
    targets: NDArray[np.float64],
    *,
    start: Weights,
    rising: bool,
    deaf: Sequence[str] = (),
) -> Weights:
    """Find the weights of a logistic regression, no further from a guess than the data ask for.

    Args:
        signals: N x S, in the order of `Signals`.
        targets: N, in [0, 1].
        start: The guess: what is held to where the data say little.
        rising: True if what speaks for the mask raises the target. A weight that would say otherwise is 0: beyond the
            data that it was fitted on, it would mislead.
        deaf: Names of signals that get no weight.

    Returns:
        S + 1 numbers.
    """
    from scipy.optimize import minimize

    x, prior = np.column_stack([signals, np.ones(len(signals))]), np.array(start)

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z, away = x @ weights, weights - prior
        entropy = np.logaddexp(0, z) - targets * z
        slope = x.T @ (1 / (1 + np.exp(-z)) - targets) / len(x)
        return float(entropy.mean() + RIDGE * (away**2).sum()), slope + 2 * RIDGE * away

    bounds: list[tuple[float | None, float | None]] = [
        (0.0, 0.0) if name in deaf else (0.0, None) if rising == (name != "jump") else (None, 0.0)
        for name in Signals._fields
    ]
    found = minimize(loss, prior, jac=True, method="L-BFGS-B", bounds=[*bounds, (None, None)])
    return tuple(round(float(each), 4) for each in found.x)


def fitted(signals: NDArray[np.float64], jaccard: NDArray[np.float64], visible: NDArray[np.bool_]) -> Calibration:
    """Find the calibration that fits masks whose truth is known.

    Args:
        signals: N x S, in the order of `Signals`.
        jaccard: N: Jaccard index of each mask.
        visible: N: true if anything of the object was to be seen.
    """
    ones = {name: tuple(float(each == name) for each in (*Signals._fields, "")) for name in Signals._fields}
    return Calibration(
        jaccard=fit(signals, np.where(visible, jaccard, 0.0), start=ones["quality"], rising=True),
        # The quality of what is not to be seen is not taught, so it says nothing there.
        absent=fit(
            signals,
            (~visible).astype(np.float64),
            start=tuple(-each for each in ones["presence"]),
            rising=False,
            deaf=("quality",),
        ),
    )


def _applied(signals: Signals, weights: Weights) -> float:
    return _sigmoid(math.fsum(a * b for a, b in zip((*signals, 1.0), weights, strict=True)))


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-min(max(logit, -30.0), 30.0)))


def _jump(area: float, usual: float | None) -> float:
    if usual is None or area == 0:
        return 0.0
    return min(abs(math.log(area / usual)), 2.0)
