"""The package's networks as most tests have them: they see small frames, where full-size ones would tell no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

import covos.model
from covos.models.lite import CovosLite


def make_small(put: Callable[[object, str, object], None], *, area: int, readiness: float) -> None:
    """Make the networks of this process, and of its forks, see small frames.

    The subject of the small clips is then hardly seen. It is made to count, which `test_small.py` watches: masks that
    are empty would be equal whatever became of them.

    Args:
        put: Sets an attribute of an object, for as long as that is wanted.
        area: Pixels that networks see of a frame.
        readiness: Logit that is added to each pixel of a subject that is searched for.
    """
    segment = CovosLite.segment

    def readily(self: CovosLite, *given: Any, **named: Any) -> torch.Tensor:
        return segment(self, *given, **named) + readiness

    put(covos.model, "DEFAULT_AREA", area)
    put(CovosLite, "segment", readily)
