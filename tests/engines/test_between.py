"""Frames between two that a network has looked at take their logits along the flow, or say that they cannot."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest
import torch

from covos.core.types import Frame, ImageArray
from covos.engines.between import DOUBT, Between, Seen, find_between
from covos.engines.motion import Observed, motion_and_flow
from covos.engines.ways import spanning

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
    found = torch.full((1, SIZE[0] // 2, SIZE[1] // 2), -8.0)
    found[:, 24:72, 32 + shift // 2 : 80 + shift // 2] = 8.0
    return found


def observed(index: int, shift: int, *, image: ImageArray | None = None) -> Observed:
    picture = scene(shift) if image is None else image
    frame = Frame(index=index, stem=f"{index:05}", image=picture, pts=index, time_base=Fraction(1, 25))
    flow = motion_and_flow(picture, scene(shift - 4), size=SIZE).flow
    return Observed(frame=frame, motion=None, flow=flow, small=picture)


def seen(index: int, shift: int) -> Seen:
    return Seen.of(observed(index, shift), logit(shift))


def found_between(before: Seen, here: Observed, after: Seen) -> Between:
    found = find_between(before, [here], after)
    assert found is not None
    (only,) = found
    return only


def test_the_subject_is_where_it_has_moved_to() -> None:
    found = found_between(seen(0, 0), observed(1, 4), seen(2, 8))
    assert found.doubt < DOUBT
    mask, wanted = found.logits > 0, logit(4) > 0
    assert (mask & wanted).sum() / (mask | wanted).sum() > 0.9
    assert found.logits.dtype == torch.float32


def test_neighbours_that_speak_of_different_things_are_doubted() -> None:
    found = found_between(seen(0, 0), observed(1, 4), Seen.of(observed(2, 8), -logit(8)))
    assert found.doubt > DOUBT


def test_a_picture_like_neither_neighbour_is_doubted() -> None:
    found = found_between(seen(0, 0), observed(1, 4, image=255 - scene(4)), seen(2, 8))
    assert found.doubt > DOUBT


def test_the_worst_of_several_things_counts() -> None:
    before, after = logit(0), logit(8)
    both = Seen.of(observed(0, 0), torch.cat([before, before])), Seen.of(observed(2, 8), torch.cat([after, -after]))
    found = found_between(both[0], observed(1, 4), both[1])
    assert found.logits.shape == (2, SIZE[0] // 2, SIZE[1] // 2)
    assert found.doubt > DOUBT


def test_without_a_subject_nothing_is_doubted() -> None:
    nothing = torch.full((1, SIZE[0] // 2, SIZE[1] // 2), -9.0)
    found = found_between(Seen.of(observed(0, 0), nothing), observed(1, 4), Seen.of(observed(2, 8), nothing))
    assert found.doubt < DOUBT
    assert not (found.logits > 0).any()


def test_several_frames_between_lie_on_the_way() -> None:
    found = find_between(seen(0, 0), [observed(index, 4 * index) for index in (1, 2, 3)], seen(4, 16))
    assert found is not None
    assert len(found) == 3
    for index, each in enumerate(found, 1):
        assert each.doubt < DOUBT
        mask, wanted = each.logits > 0, logit(4 * index) > 0
        assert (mask & wanted).sum() / (mask | wanted).sum() > 0.9


def test_where_a_neighbour_or_a_flow_is_not_known_there_is_nothing() -> None:
    before, here, after = seen(0, 0), observed(1, 4), seen(2, 8)
    assert find_between(None, [here], after) is None
    assert find_between(before, [here], None) is None
    assert find_between(before, [replace(here, flow=None)], after) is None
    assert find_between(before, [here], replace(after, flow=None)) is None
    assert find_between(before, [here], replace(after, index=3)) is None
    assert find_between(before, [here, observed(3, 12)], seen(4, 16)) is None


def test_a_flow_over_two_frames_leads_where_both_lead() -> None:
    one, other = np.zeros((8, 12, 2), np.float32), np.zeros((8, 12, 2), np.float32)
    one[..., 0], other[:, 6:, 0] = 2, 3
    both = spanning(one, other)
    assert both[3, 2, 0] == pytest.approx(2)
    assert both[3, 7, 0] == pytest.approx(5)
