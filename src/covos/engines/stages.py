"""Stages of a pass that come before its first result: what a job says of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class StageProgress:
    """The state of a pass that comes before the first result: so many frames of all are done.

    ``"cuts"`` looks for cuts, ``"discover"`` for objects, ``"find"`` for the surest frames, ``"backward"`` follows
    towards the first frame.
    """

    stage: Literal["cuts", "discover", "find", "backward"]
    done: int
    total: int
