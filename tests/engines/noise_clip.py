"""A clip of noise, and what a random network makes of it, for the tests of following."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import torch

from covos.core.types import Frame, ObjectStatus
from covos.engines.follow import FollowEngine
from covos.engines.motion import Observed
from covos.models.follow import FollowFeatures

SIZE = (64, 96)


def frames(count: int) -> Iterator[Frame]:
    noise = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
    for index in range(count):
        yield Frame(
            index=index, stem=f"{index:05}", image=np.roll(noise, index, axis=1), pts=index, time_base=Fraction(1, 25)
        )


def observed(count: int) -> list[Observed]:
    return [Observed(frame=frame, motion=None, small=frame.image) for frame in frames(count)]


def box(top: int, left: int, height: int = 20, width: int = 20) -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[top : top + height, left : left + width] = True
    return mask


def status(identity: int = 1, state: str = "present", confidence: float = 0.5) -> ObjectStatus:
    return ObjectStatus(id=identity, state=state, confidence=confidence)  # type: ignore[arg-type]


def features_of(engine: FollowEngine, *, cue: torch.Tensor | None = None, frame: int = 0) -> FollowFeatures:
    """Features of a frame, with a cue of probabilities at stride 2 if there is one."""
    with engine.encoder.computing():
        ((_, features),) = engine.encoded(observed(frame + 1)[frame:])
    return features if cue is None else features._replace(cue_B1HW=cue, cue_known_B=torch.ones(1))


def half(value: bool = True) -> torch.Tensor:
    """Stride 2: true, or all but that, in the left half."""
    mask = torch.zeros(SIZE[0] // 2, SIZE[1] // 2)
    mask[:, : SIZE[1] // 4] = 1
    return mask if value else 1 - mask
