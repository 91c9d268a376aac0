"""Soft answers after a change of the mask: no ghost of what went, a soft edge round what came, the rest as it was."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from covos.core.types import MaskArray, ProbabilityArray
from covos.masks.frame_mask import FrameMask, objects_of
from covos.masks.mended import mended, with_edge_of
from covos.masks.soft import SoftMask, soft_edge

SIZE = (240, 320)
BODY, LIMB, FAR = np.s_[60:180, 40:160], np.s_[100:130, 160:230], np.s_[20:50, 270:310]


def mask(*places: tuple[slice, slice]) -> MaskArray:
    made = np.zeros(SIZE, bool)
    for place in places:
        made[place] = True
    return made


def soft(shown: MaskArray) -> ProbabilityArray:
    """A network's answer: its skirt is wide, and it is never quite sure."""
    return np.clip(soft_edge(shown) * 0.94 + 0.03, 0, 1)


def changed(before: MaskArray, now: MaskArray, *, new: ProbabilityArray | None = None) -> ProbabilityArray:
    return mended(soft(before), soft(now) if new is None else new, before=before, now=now, taken=before != now)


def test_what_goes_takes_its_skirt_along() -> None:
    before, now = mask(BODY, LIMB, FAR), mask(BODY, FAR)
    made = changed(before, now)
    np.testing.assert_allclose(made[80:150, 166:240], 0.03, atol=1e-6)
    np.testing.assert_allclose(made[105:125, 150:165], soft(now)[105:125, 150:165], atol=0.01)
    # By a hard cut the skirt would stay: this is what a user saw.
    cut = np.where(before != now, soft(now), soft(before))
    assert (cut[97:100, 170:220] > 0.1).any()


def test_what_comes_brings_a_soft_edge_and_joins_what_was_there() -> None:
    before, now = mask(BODY, FAR), mask(BODY, LIMB, FAR)
    made = changed(before, now)
    around = np.s_[90:140, 168:240]
    np.testing.assert_allclose(made[around], soft(now)[around], atol=1e-4)
    np.testing.assert_allclose(made[108:122, 150:170], 0.97, atol=0.01)  # no seam where the two meet


@pytest.mark.parametrize("there", [True, False])
def test_nothing_changes_elsewhere(there: bool) -> None:
    masks = mask(BODY, FAR), mask(BODY, LIMB, FAR)
    before, now = masks if there else masks[::-1]
    noise = np.random.default_rng(3).uniform(0, 0.02, SIZE).astype(np.float32)
    made = changed(before, now, new=np.clip(soft(now) + noise, 0, 1))
    same = made == soft(before)
    assert same[:, :140].all(), "the far side of the body"
    assert same[FAR].all()
    assert same[15:60, 260:].all()


def test_the_edge_is_drawn_where_the_new_answer_does_not_fit_the_mask() -> None:
    """Only a part of what the new answer has was believed."""
    before, now = mask(BODY), mask(BODY, LIMB)
    made = changed(before, now, new=soft(mask(BODY, np.s_[60:170, 160:230])))
    np.testing.assert_array_equal(made > 0.5, now)
    assert made[95:100, 170:220].max() < 0.5


def test_an_answer_passes_into_the_other_without_a_step() -> None:
    """Two passes doubt one contour in their own ways: where they meet along it, nothing jumps."""
    before, now = mask(BODY, LIMB), mask(BODY)
    old, new = soft(before), np.clip(soft(now) - 0.2 * (soft(now) < 0.5), 0, 1)
    made = mended(old, new, before=before, now=now, taken=before != now)
    steps = np.abs(np.diff(made[60:180, 161], axis=0))
    assert steps[:35].max() < 0.06


def test_all_may_go_and_a_first_mask_may_come() -> None:
    nothing, body = mask(), mask(BODY)
    assert changed(body, nothing).max() <= 0.03 + 1e-6
    np.testing.assert_array_equal(changed(nothing, body) > 0.5, body)


def test_a_frame_that_was_changed_by_hand_keeps_its_edge_elsewhere() -> None:
    def frame(shown: MaskArray, *, edge: ProbabilityArray | None) -> FrameMask:
        return FrameMask(
            index=0,
            stem="0",
            pts=0,
            time_base=Fraction(1, 25),
            status="ok",
            confidence=0.8,
            size=SIZE,
            objects=objects_of(shown.astype(np.uint8)),
            soft=None if edge is None else SoftMask.of(edge, shown),
        )

    hairy = np.where(mask(BODY), 0.9, 0.2).astype(np.float32)
    before = frame(mask(BODY), edge=hairy)
    made = with_edge_of(frame(mask(BODY, LIMB), edge=None), before)
    np.testing.assert_array_equal(made.probability[:, :140], before.probability[:, :140])
    assert made.probability[115, 200] == 1
    np.testing.assert_array_equal(made.probability > 0.5, made.mask)
    assert with_edge_of(frame(mask(BODY), edge=None), before).soft is before.soft
    bare = frame(mask(BODY), edge=None)
    assert with_edge_of(bare, bare).soft is None
