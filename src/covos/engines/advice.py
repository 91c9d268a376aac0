"""Advice: the subject that covos-lite finds, listened to beside what the network that follows makes of an object.

It is listened to as far as it agrees with the object. So what one of the two has lost comes back.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from covos.models.follow import FollowFeatures
from covos.models.object_masks import moved

ADVICE = 0.35
"""Weight of the subject that covos-lite finds beside what the network makes of an object."""
ADVISED = (0.4, 0.6)
"""Agreement of that subject with the object from which it is listened to, and fully."""
LATELY = 0.1
"""Weight of a frame in how well that subject has agreed with the object lately."""
ADVICE_LIMIT = 6.0
"""Bound of the logits that are mixed: neither may outvote the other by being loud."""
ADVICE_EPS = 0.0025
"""The same bound, as a probability."""


class Agreement(NamedTuple):
    """Agreement of the subject that covos-lite finds with an object: Jaccard indices, float32 in [0, 1]."""

    shown_2: Tensor
    """Where the object was shown; see `covos.models.follow.agreement`."""
    lately: Tensor
    """A moving mean from there on, of what the network makes of the object by itself. covos-lite may miss the subject
    where it is shown and find it later."""

    @property
    def best(self) -> Tensor:
        """The larger of the two."""
        return torch.maximum(self.shown_2[0], self.lately)

    def noted(self, now: Tensor) -> Agreement:
        """Return what is known after one more frame."""
        return self._replace(lately=self.lately + LATELY * (now - self.lately))


def advised(logit_P1HW: Tensor, latest_P2HW: Tensor, features: FollowFeatures, *, agreement_P: Tensor) -> Tensor:
    """Mix the cue into the logits of objects, as far as it agrees with them (`Agreement.best`).

    It is mixed in before the frame is remembered: so what one of the two has lost comes back. The cue does not count
    for this object in the place of another.
    """
    trust = ((agreement_P - ADVISED[0]) / (ADVISED[1] - ADVISED[0])).clamp(0, 1)
    if not trust.any():
        return logit_P1HW
    others = F.interpolate(moved(latest_P2HW[:, 1:].float(), features.flow_B2HW), scale_factor=2, mode="bilinear")
    advice = torch.logit(features.cue_B1HW * (1 - others), eps=ADVICE_EPS)
    weight = ADVICE * trust.view(-1, 1, 1, 1)
    return torch.where(
        weight > 0, (1 - weight) * logit_P1HW.clamp(-ADVICE_LIMIT, ADVICE_LIMIT) + weight * advice, logit_P1HW
    )
