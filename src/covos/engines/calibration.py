"""Estimate the quality of a followed object's mask from all that is known of it.

The network judges itself (`DecodedObjects.present_P`, `DecodedObjects.quality_P`), and is too sure: it is trained on
clips of a few frames, in which little goes wrong. Its judgement is corrected by what shows when following has slipped:
undecided pixels, a mask where the long-term readout finds nothing, a jump in area, a mask that others claimed as well.
Two logistic regressions on these signals (Platt, *Probabilistic outputs for support vector machines*, 1999, with
several inputs) estimate the Jaccard index of the mask, and the probability that the object is out of sight. Their
weights belong to the weights of a covos-follow and are kept in its card; `benchmarks/calibration.py --fit` finds them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from covos.models.follow import DecodedObjects, FollowFeatures

LIMIT = 8.0
"""Bound of logits among the signals."""
UNDECIDED = (0.1, 0.9)
"""Probabilities between which a pixel is undecided."""
FORGOTTEN = 0.97
"""Share of what others have claimed that is left after a frame that is looked at: half of it after 23 of them."""

Weights: TypeAlias = tuple[float, ...]
"""One for each signal, and a constant."""


class Signals(NamedTuple):
    """Signals of an object in a frame. All but those of `AGAINST` speak for the mask."""

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
    moved: float
    """In [0, 1]: overlap of the mask with the latest one, moved along the flow."""
    scored: float
    """In [0, 1]: overlap of the mask with where the target model sees the object."""
    cued: float
    """In [-1, 1]: overlap of the mask with the subject that covos-lite finds, from -1 for none, times how well that
    subject agreed with the object where it was shown; 0 if nothing is known of that."""
    jump: float
    """In [0, 2]: the log of the mask's area over the usual one, or of its inverse."""
    undecided: float
    """In [0, 2]: pixels with a probability between 0.1 and 0.9, over those of the mask."""
    contested: float
    """In [0, 1]: share of the mask that other objects claim too, now or a while ago. A mask that has gone over to a
    thing which looks alike looks right from then on: what went before tells."""


AGAINST: frozenset[str] = frozenset({"jump", "undecided", "contested"})
"""Signals that speak against a mask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Weights of the two regressions: for the Jaccard index, and for being out of sight."""

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
    """Estimate the quality of a mask; by the network's word alone if there is no calibration."""
    if calibration is None:
        presence = _sigmoid(signals.presence)
        return MaskEstimate(presence * _sigmoid(signals.quality), 1 - presence)
    return MaskEstimate(_applied(signals, calibration.jaccard), _applied(signals, calibration.absent))


def mean_estimate(estimates: Sequence[MaskEstimate]) -> MaskEstimate:
    """Return the mean of the estimates of one mask in several views."""
    return MaskEstimate(*(math.fsum(each) / len(estimates) for each in zip(*estimates, strict=True)))


def signals_of(
    decoded: DecodedObjects,
    features: FollowFeatures,
    agreement_P2: Tensor,
    *,
    usual: Sequence[float | None],
    contested: Sequence[float],
) -> list[Signals]:
    """Gather the signals of each object of one frame.

    Args:
        decoded: What the network says of the objects.
        features: Of the frame.
        agreement_P2: See `covos.models.follow.Belief`.
        usual: Area of each object as it has been, as a share of the frame; None where it has not been seen.
        contested: This signal of each object in the frame before; 0 where it was shown.
    """
    probability = decoded.logit_P1HW.sigmoid()
    solid = probability > 0.5
    every = (1, 2, 3)
    inside = (probability * solid).sum(dim=every)
    decided = inside / (probability.sum(dim=every) - inside + solid.sum(dim=every)).clamp(min=1e-6)
    long = decoded.read_P2hw[:, :1]
    small = F.interpolate(probability, size=long.shape[2:], mode="area")
    match = (decoded.match_Phw * small[:, 0]).sum(dim=(1, 2)) / small.sum(dim=every).clamp(min=1e-6)
    cue = features.cue_B1HW.expand(len(probability), -1, -1, -1)
    columns = torch.stack(
        [
            decoded.quality_P.clamp(-LIMIT, LIMIT),
            decoded.present_P.clamp(-LIMIT, LIMIT),
            torch.logit(decided, eps=1e-3),
            _overlap(small, long),
            match,
            _overlap(probability, decoded.before_P1HW),
            _overlap(probability, decoded.score_P1HW.clamp(0, 1)),
            agreement_P2[:, 0] * (2 * _overlap(probability, cue) - 1),
            solid.float().mean(dim=every),
            _undecided(probability, solid),
            _claimed(solid),
        ],
        dim=1,
    ).tolist()
    return [
        Signals._make([*row[:-3], _jump(row[-3], area), row[-2], max(row[-1], FORGOTTEN * before)])
        for row, area, before in zip(columns, usual, contested, strict=True)
    ]


def _undecided(probability_P1HW: Tensor, solid_P1HW: Tensor) -> Tensor:
    low, high = UNDECIDED
    open_P1HW = (probability_P1HW > low) & (probability_P1HW < high)
    return (open_P1HW.sum(dim=(1, 2, 3)) / solid_P1HW.sum(dim=(1, 2, 3)).clamp(min=1)).clamp(max=2)


def _claimed(solid_P1HW: Tensor) -> Tensor:
    """Return the share of each mask that any other has, too: each object was looked for by itself."""
    several = solid_P1HW.sum(dim=0) > 1
    return (solid_P1HW & several).sum(dim=(1, 2, 3)) / solid_P1HW.sum(dim=(1, 2, 3)).clamp(min=1)


def _overlap(a_P1HW: Tensor, b_P1HW: Tensor) -> Tensor:
    """Return the Jaccard index of soft masks, at the resolution of the second."""
    small = F.interpolate(a_P1HW, size=b_P1HW.shape[2:], mode="area") if a_P1HW.shape != b_P1HW.shape else a_P1HW
    either = torch.maximum(small, b_P1HW).sum(dim=(1, 2, 3)).clamp(min=1e-6)
    return torch.minimum(small, b_P1HW).sum(dim=(1, 2, 3)) / either


def _applied(signals: Signals, weights: Weights) -> float:
    return _sigmoid(math.fsum(a * b for a, b in zip((*signals, 1.0), weights, strict=True)))


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-min(max(logit, -30.0), 30.0)))


def _jump(area: float, usual: float | None) -> float:
    if usual is None or area == 0:
        return 0.0
    return min(abs(math.log(area / usual)), 2.0)
