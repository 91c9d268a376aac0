"""Frames between two that a network has looked at take their logits along the flow, or say that they cannot."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from covos.core.types import ImageArray
from covos.engines.between import DOUBT, Seen, find_between
from covos.engines.motion import motion_and_flow

SIZE = (192, 256)


def scene(shift: int, *, seed: int = 0) -> ImageArray:
    """A textured square before a textured ground, which has moved by so many pixels."""
    draw = np.random.default_rng(seed)
    ground = cv2.resize(draw.integers(0, 120, (48, 64, 3), dtype=np.uint8), SIZE[::-1], interpolation=cv2.INTER_CUBIC)
    thing = cv2.resize(draw.integers(130, 255, (16, 16, 3), dtype=np.uint8), (96, 96), interpolation=cv2.INTER_CUBIC)
    image = ground.copy()
    image[48:144, 64 + shift : 160 + shift] = thing
    return image


def logit(shift: int) -> torch.Tensor:
    """The square in cells of stride 2."""
    found = torch.full((SIZE[0] // 2, SIZE[1] // 2), -8.0)
    found[24:72, 32 + shift // 2 : 80 + shift // 2] = 8.0
    return found


def seen(index: int, shift: int, *, image: ImageArray | None = None) -> Seen:
    picture = scene(shift) if image is None else image
    flow = motion_and_flow(picture, scene(shift - 4), size=SIZE).flow
    return Seen(index=index, logit=logit(shift), picture=picture, flow=flow)


def test_the_subject_is_where_it_has_moved_to() -> None:
    here = scene(4)
    found = find_between(seen(0, 0), here, motion_and_flow(here, scene(0), size=SIZE).flow, seen(2, 8))
    assert found is not None
    assert found.doubt < DOUBT
    mask, wanted = found.logit > 0, logit(4) > 0
    assert (mask & wanted).sum() / (mask | wanted).sum() > 0.9
    assert found.logit.dtype == torch.float32


def test_neighbours_that_speak_of_different_things_are_doubted() -> None:
    here = scene(4)
    flow = motion_and_flow(here, scene(0), size=SIZE).flow
    other = Seen(index=2, logit=-logit(8), picture=scene(8), flow=seen(2, 8).flow)
    found = find_between(seen(0, 0), here, flow, other)
    assert found is not None
    assert found.doubt > DOUBT


def test_a_picture_like_neither_neighbour_is_doubted() -> None:
    strange = 255 - scene(4)
    found = find_between(seen(0, 0), strange, np.zeros((48, 64, 2), np.float32), seen(2, 8))
    assert found is not None
    assert found.doubt > DOUBT


def test_without_a_subject_nothing_is_doubted() -> None:
    nothing = torch.full((96, 128), -9.0)
    before, after = (Seen(index=at, logit=nothing, picture=scene(0), flow=seen(at, 0).flow) for at in (0, 2))
    found = find_between(before, scene(0), np.zeros((48, 64, 2), np.float32), after)
    assert found is not None
    assert found.doubt < DOUBT
    assert not (found.logit > 0).any()


@pytest.mark.parametrize("which", ["own", "after"])
def test_without_a_flow_there_is_nothing(which: str) -> None:
    flow = None if which == "own" else np.zeros((48, 64, 2), np.float32)
    after = seen(2, 8)
    if which == "after":
        after = Seen(index=2, logit=after.logit, picture=after.picture, flow=None)
    assert find_between(seen(0, 0), scene(4), flow, after) is None
