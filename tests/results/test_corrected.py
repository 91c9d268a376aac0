"""Old and new masks of a frame, put together: labels, probability and states stay of one piece."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from covos.core.types import ObjectStatus, Presence
from covos.masks.frame_mask import FrameMask, objects_of
from covos.masks.soft import SoftMask, soft_edge
from covos.results.corrected import with_corrections
from covos.results.followed import FollowedMasks, Known

SIZE = (40, 60)
Box = tuple[int, int, int, int]
BODY, LIMB, FAR = (10, 10, 10, 10), (10, 20, 4, 6), (30, 45, 5, 5)


def frame(index: int, boxes: dict[int, list[Box]], *, confidence: float = 0.8) -> FrameMask:
    labels = np.zeros(SIZE, np.uint8)
    for identity, places in boxes.items():
        for top, left, height, width in places:
            labels[top : top + height, left : left + width] = identity
    states = []
    for identity, places in boxes.items():
        state: Presence = "present" if places else "occluded"
        states.append(ObjectStatus(id=identity, state=state, confidence=confidence))
    return FrameMask(
        index=index,
        stem=str(index),
        pts=index,
        time_base=Fraction(1, 25),
        status="ok",
        confidence=confidence,
        size=SIZE,
        objects=objects_of(labels),
        states=tuple(states),
        soft=SoftMask.of(soft_edge(labels > 0), labels > 0),
    )


def known(mask: FrameMask, births: dict[int, int]) -> Known:
    return Known(mask, births, 1)


def test_a_frame_that_no_correction_reaches_is_the_old_one() -> None:
    old = [frame(index, {1: [BODY]}) for index in range(3)]
    new = [frame(0, {1: [BODY, LIMB]}), frame(1, {1: [BODY, LIMB]}), frame(2, {1: [BODY, FAR]})]
    made = with_corrections(
        new, [known(each, {1: 1}) for each in old], births={1: 1}, corrected={0: [1]}, direction="both"
    )
    np.testing.assert_array_equal(made[0].labels, new[0].labels)
    np.testing.assert_array_equal(made[1].labels, new[1].labels)
    assert made[2] is old[2]


def test_an_object_that_was_unsure_is_sure_where_it_was_shown_as_it_is() -> None:
    """The click agrees with the mask: that stays, and is no longer doubtful there."""
    old = [frame(index, {1: [BODY], 2: [FAR]}, confidence=0.3) for index in range(2)]
    new = [frame(index, {1: [BODY], 2: [FAR]}, confidence=1.0) for index in range(2)]
    made = with_corrections(
        new, [known(each, {1: 0, 2: 0}) for each in old], births={1: 0, 2: 0}, corrected={0: [1]}, direction="both"
    )
    assert [each.confidence for each in made[0].states] == [1.0, 0.3]
    assert made[0].confidence == 0.65
    assert made[0].objects == old[0].objects
    assert made[1] is old[1]


def test_objects_that_were_not_followed_again_keep_their_state() -> None:
    old = frame(0, {1: [BODY], 2: [FAR]}, confidence=0.6)
    new = frame(0, {1: [BODY, LIMB]})
    (made,) = with_corrections(
        [new], [known(old, {1: 0, 2: 0})], births={1: 0, 2: 0}, corrected={0: [1]}, direction="both"
    )
    assert [(each.id, each.confidence) for each in made.states] == [(1, 0.8), (2, 0.6)]
    np.testing.assert_array_equal(made.labels, frame(0, {1: [BODY, LIMB], 2: [FAR]}).labels)


def test_masks_probability_and_states_belong_together() -> None:
    old = frame(0, {1: [BODY], 2: [FAR]}, confidence=0.6), frame(1, {1: [BODY], 2: [FAR]}, confidence=0.6)
    new = frame(0, {1: [BODY, LIMB], 2: []}), frame(1, {1: [BODY, LIMB], 2: []})
    births = {1: 1, 2: 2}
    for made in with_corrections(
        new, [known(each, births) for each in old], births=births, corrected={0: [1]}, direction="both"
    ):
        np.testing.assert_array_equal(made.labels == 1, new[0].labels == 1)
        np.testing.assert_array_equal(made.labels == 2, old[0].labels == 2)
        np.testing.assert_array_equal(made.probability > 0.5, made.mask)
        assert [(each.id, each.state) for each in made.states] == [(1, "present"), (2, "present")]
        assert [each.confidence for each in made.states] == [0.8, 0.6]
        assert made.confidence == 0.7


def test_a_mask_that_is_neither_answer_is_less_sure_than_both() -> None:
    old, new = frame(0, {1: [BODY]}), frame(0, {1: [BODY]})
    after = frame(1, {1: [BODY, LIMB, FAR]})
    births = {1: 1}
    made = with_corrections(
        [frame(0, {1: [BODY, LIMB]}), after],
        [known(old, births), known(frame(1, {1: [BODY]}), births)],
        births=births,
        corrected={0: [1]},
        direction="both",
    )[1]
    np.testing.assert_array_equal(made.labels, frame(1, {1: [BODY, LIMB]}).labels)
    assert made.states[0].state == "present"
    assert 0.4 < made.states[0].confidence < 0.8
    assert new.states[0].confidence == 0.8


LARGE = (480, 640)


def large(boxes: dict[int, list[Box]], *, by: int = 0) -> FrameMask:
    """A frame of a real size, whose masks are larger by so many pixels on each side."""
    labels = np.zeros(LARGE, np.uint8)
    for identity, places in boxes.items():
        for top, left, height, width in places:
            labels[top - by : top + height + by, left - by : left + width + by] = identity
    states = tuple(ObjectStatus(id=each, state="present", confidence=0.8) for each in boxes)
    soft = SoftMask.of(soft_edge(labels > 0), labels > 0)
    return replace(frame(0, {}), size=LARGE, objects=objects_of(labels), states=states, soft=soft)


def test_what_is_removed_leaves_no_ghost_and_the_rest_of_the_edge_stays() -> None:
    body, limb = (100, 100, 200, 150), (180, 250, 40, 60)
    old, new = large({1: [body, limb]}), large({1: [body]})
    old = replace(old, feather=2.0)
    (made,) = with_corrections([new], [known(old, {1: 1})], births={1: 1}, corrected={0: [1]}, direction="both")
    assert not made.probability[170:230, 258:330].any()
    cut = np.where(old.mask != new.mask, new.probability, old.probability)
    assert cut[170:230, 258:330].max() > 0.2, "a cut at the mask leaves the skirt"
    np.testing.assert_array_equal(made.probability[:, :230], old.probability[:, :230])
    np.testing.assert_array_equal(made.probability > 0.5, made.mask)
    assert made.feather == 2.0


@pytest.mark.parametrize("was_followed", [True, False])
def test_no_rim_of_an_object_stays_round_another_that_takes_a_part_of_it(was_followed: bool) -> None:
    """A found subject is two things. One of them is shown as another object."""
    one, two = (100, 100, 150, 120), (100, 400, 150, 120)
    old, new = large({1: [one, two]}, by=2), large({1: [two], 2: [one]})
    if not was_followed:
        new = large({2: [one]})
    births = {1: 1, 2: 2}
    (made,) = with_corrections([new], [known(old, {1: 1})], births=births, corrected={0: [2]}, direction="both")
    np.testing.assert_array_equal(made.labels == 2, new.labels == 2)
    np.testing.assert_array_equal(made.labels == 1, large({1: [two]}, by=2).labels == 1)
    np.testing.assert_array_equal(made.probability > 0.5, made.mask)


def test_masks_without_soft_edges_stay_without() -> None:
    old, new = (replace(frame(0, {1: places}), soft=None) for places in ([BODY], [BODY, LIMB]))
    (made,) = with_corrections([new], [known(old, {1: 1})], births={1: 1}, corrected={0: [1]}, direction="both")
    assert made.soft is None
    np.testing.assert_array_equal(made.labels, new.labels)


def test_objects_that_came_or_went_change_the_frame_wherever_they_are() -> None:
    old = frame(0, {1: [BODY], 2: [LIMB]})
    new = frame(0, {1: [BODY, LIMB], 3: [FAR]})
    (made,) = with_corrections([new], [known(old, {1: 1, 2: 2})], births={1: 1, 3: 3}, corrected={}, direction="both")
    np.testing.assert_array_equal(made.labels, new.labels)
    # The id is another object's now.
    (made,) = with_corrections(
        [frame(0, {1: [FAR]})], [known(old, {1: 1, 2: 2})], births={1: 4}, corrected={}, direction="both"
    )
    np.testing.assert_array_equal(made.labels, frame(0, {1: [FAR]}).labels)


def test_frames_that_were_not_followed_before_are_the_new_ones() -> None:
    new = frame(0, {1: [BODY]})
    assert with_corrections([new], [None], births={1: 1}, corrected={0: [1]}, direction="both") == (new,)
    (made,) = with_corrections([new], [known(frame(0, {}), {1: 1})], births={1: 1}, corrected={}, direction="both")
    np.testing.assert_array_equal(made.labels, new.labels)


def test_masks_of_steps_that_were_taken_back_are_forgotten() -> None:
    masks = [frame(0, {1: [(10, 10, 10, side)]}) for side in (5, 6, 7)]
    found = FollowedMasks()
    for step, mask in enumerate(masks):
        found.put_away(line=range(step + 1))
        found.keep([mask], births={1: 1}, step=step)

    def before(*line: int) -> FrameMask | None:
        earlier = found.before(0, line=line)
        return None if earlier is None else earlier.mask

    assert before(0) is None
    assert before(0, 1) is masks[0]
    assert before(0, 1, 2) is masks[1]
    found.put_away(line=(0, 1, 2))
    assert not len(found)
    assert before(0, 1, 2) is masks[1], "not the one of now"
    # The last two steps are taken back, and another one is made.
    found.keep([masks[2]], births={1: 1}, step=2)
    found.put_away(line=(0, 3))
    assert before(0, 3) is masks[0]
    found.keep([masks[2]], births={1: 1}, step=3)
    found.put_away(line=(0, 3, 4))
    assert before(0, 3, 4) is masks[2]
    assert before(0, 3) is masks[0]
