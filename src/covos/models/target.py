"""A linear model of each object, fitted in closed form while it is followed.

Matching finds what looks like a remembered position; a fitted model separates an object from all else. As in FRTM
(Robinson et al., *Learning Fast and Robust Target Models for Video Object Segmentation*, CVPR 2020) and LWL (Bhat et
al., ECCV 2020) it is fitted on the masks that were given and on confident ones that followed, and its score is an input
of the decoder. Here it is a ridge regression, one for each object against the rest. The objects of a frame share the
normal matrix, so an object more costs one more right-hand side.

A least-squares fit to 0 and 1 has the direction of Fisher's linear discriminant whatever the shares of object and rest
are (Bishop, *Pattern Recognition and Machine Learning*, section 4.1.5); only its scale and offset depend on them. So
scores are scaled to have mean 0 on the rest and mean 1 on the object.

Shape legend: B frames (or clips), P pairs of a frame and one of its objects, N positions, D channels with the constant.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

SINCE_DECAY = 0.8
"""Weight of what was followed before the latest frame that is learned from."""
SINCE_SHARE = 0.3
"""Weight of a frame that was followed over one that was given."""
RIDGE = 1e-3
"""Weight of the squared norm, for an average over positions of unit weight."""
LIMITS = (-1.0, 2.0)
"""Scores are clipped to these."""
EPS = 1e-6


class TargetMoments(NamedTuple):
    """Sums over weighted positions, all that a fit needs; those of several frames are added."""

    gram_BDD: Tensor
    """Sum of w x x'."""
    cross_PD: Tensor
    """Sum of w y x for each object."""

    def plus(self, other: TargetMoments, *, own: float = 1.0, others: float = 1.0) -> TargetMoments:
        """Return the sums of both, each times a weight."""
        return TargetMoments(
            own * self.gram_BDD + others * other.gram_BDD, own * self.cross_PD + others * other.cross_PD
        )


class TargetModel(NamedTuple):
    """Linear scores of P objects."""

    weight_PD: Tensor
    """With scale and offset in it: the last channel is the constant."""


def fit_features(parts: tuple[Tensor, ...], size: tuple[int, int]) -> Tensor:
    """Make the inputs of the fit: B x N x D float32 at a size, each part B x C x H x W of length 1 along C, and a 1."""
    maps = [
        F.normalize(F.interpolate(part.float(), size=size, mode="bilinear", align_corners=False), dim=1)
        if part.shape[2:] != size
        else F.normalize(part.float(), dim=1)
        for part in parts
    ]
    maps.append(torch.ones_like(maps[0][:, :1]))
    return torch.cat(maps, dim=1).flatten(2).transpose(1, 2)


def moments(fit_BND: Tensor, mask_PN: Tensor, weight_BN: Tensor, owner_P: Tensor) -> TargetMoments:
    """Sum up frames whose objects are known.

    Args:
        fit_BND: From `fit_features`.
        mask_PN: In [0, 1]: the share of the position that the object covers.
        weight_BN: In [0, 1]: how far the masks are to be believed there.
        owner_P: Frame of each object.
    """
    weighted = fit_BND * weight_BN.unsqueeze(2)
    gram = weighted.transpose(1, 2) @ fit_BND
    own = weighted if len(weighted) == 1 else weighted[owner_P]
    cross = (mask_PN.unsqueeze(1) @ own).squeeze(1)
    return TargetMoments(gram, cross)


class TargetKnowledge(NamedTuple):
    """Sightings of a pass's objects: in frames that were given, and in those that were followed since."""

    given: TargetMoments
    since: TargetMoments | None = None

    def show(self, shown: TargetMoments) -> TargetKnowledge:
        """Return the knowledge after a further frame that was given."""
        return self._replace(given=self.given.plus(shown))

    def follow(self, followed: TargetMoments) -> TargetKnowledge:
        """Return the knowledge after a further frame that was followed; earlier such frames fade."""
        return self._replace(since=followed if self.since is None else self.since.plus(followed, own=SINCE_DECAY))

    @property
    def moments(self) -> TargetMoments:
        """All of it, in which frames that were given count most."""
        return self.given if self.since is None else self.given.plus(self.since, others=SINCE_SHARE)


def fit(known: TargetMoments, owner_P: Tensor) -> TargetModel:
    """Fit one model for each object."""
    gram, cross = known
    count = gram[:, -1, -1].clamp(min=EPS)
    scaled = gram / count[:, None, None]
    ridge = torch.full_like(scaled[0, 0], RIDGE)
    # The constant is not shrunk, but for what keeps an empty sum from being singular.
    ridge[-1] = EPS
    factor, _ = torch.linalg.cholesky_ex(scaled + torch.diag(ridge))
    if len(gram) == 1:
        weight = torch.cholesky_solve(cross.T / count, factor[0]).T
    else:
        weight = torch.cholesky_solve((cross / count[owner_P, None]).unsqueeze(2), factor[owner_P]).squeeze(2)
    everything = gram[owner_P, -1]
    inside, total = cross[:, -1], everything[:, -1]
    mean_in = (weight * cross).sum(dim=1) / inside.clamp(min=EPS)
    mean_out = (weight * (everything - cross)).sum(dim=1) / (total - inside).clamp(min=EPS)
    span = (mean_in - mean_out).clamp(min=EPS)
    weight = weight / span[:, None]
    weight[:, -1] -= mean_out / span
    # An object of which nothing was seen has no model.
    return TargetModel(weight * (inside > EPS)[:, None])


def score(model: TargetModel, fit_BND: Tensor, owner_P: Tensor) -> Tensor:
    """Score each position for each object: P x N float32, about 1 on it and about 0 on the rest."""
    own = fit_BND if len(fit_BND) == 1 else fit_BND[owner_P]
    return (own @ model.weight_PD.unsqueeze(2)).squeeze(2).clamp(*LIMITS)
