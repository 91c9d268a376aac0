"""Corrections that obey: which differences of two answers are believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from covos.core.types import LabelArray, ObjectStatus, Presence
from covos.engines.corrections import GAP, LESS_SURE, Answer, Spread, spread

SIZE = (40, 60)
Boxes = Mapping[int, Sequence[tuple[int, int, int, int]]]
"""Object id to boxes: top, left, height, width."""


def labels(boxes: Boxes) -> LabelArray:
    made = np.zeros(SIZE, np.uint8)
    for identity, places in boxes.items():
        for top, left, height, width in places:
            made[top : top + height, left : left + width] = identity
    return made


def answer(boxes: Boxes, **confidence: float) -> Answer:
    shown = labels(boxes)
    states = {}
    for identity in (1, 2):
        state: Presence = "present" if (shown == identity).any() else "occluded"
        states[identity] = ObjectStatus(id=identity, state=state, confidence=confidence.get(f"of_{identity}", 0.8))
    return Answer(shown, states)


def believed(
    corrected: Mapping[int, Sequence[int]], old: Sequence[Answer | None], new: Sequence[Answer]
) -> list[LabelArray]:
    """The labels that come of it; of a frame without an old answer those of the new one."""
    made = [after.labels if before is None else before.labels.copy() for before, after in zip(old, new, strict=True)]

    def answers(index: int) -> tuple[Answer, Answer] | None:
        before = old[index]
        return None if before is None else (before, new[index])

    for index, pixels in spread(corrected, answers, count=len(new)):
        assert pixels.any()
        made[index][pixels] = new[index].labels[pixels]
    return made


BODY, LIMB, FAR = (10, 10, 10, 10), (10, 20, 4, 6), (30, 45, 5, 5)


def test_a_part_that_was_added_is_added_to_the_frames_around_and_nothing_far_away_changes() -> None:
    old, new = [answer({1: [BODY]})] * 7, [answer({1: [BODY, LIMB, FAR]})] * 7
    new[3] = answer({1: [BODY, LIMB]})
    for made in believed({3: [1]}, old, new):
        np.testing.assert_array_equal(made, labels({1: [BODY, LIMB]}))


def test_nothing_is_believed_that_no_correction_is_joined_to() -> None:
    old, new = [answer({1: [BODY]})] * 4, [answer({1: [BODY]})] * 1 + [answer({1: [BODY, FAR]})] * 3
    for made in believed({0: [1]}, old, new):
        np.testing.assert_array_equal(made, labels({1: [BODY]}))
    assert list(spread({}, lambda _: (old[0], new[-1]), count=4)) == []


def test_other_objects_stay_as_they_were_even_on_the_corrected_frame() -> None:
    old = [answer({1: [BODY], 2: [FAR]})] * 3
    new = [answer({1: [BODY, LIMB], 2: [(25, 40, 5, 5)]})] * 3
    for made in believed({1: [1]}, old, new):
        np.testing.assert_array_equal(made, labels({1: [BODY, LIMB], 2: [FAR]}))


def test_pixels_that_are_taken_from_an_object_go_to_whom_the_new_answer_gives_them() -> None:
    old = [answer({1: [BODY, LIMB]})] * 3
    new = [answer({1: [BODY], 2: [LIMB]})] * 3
    for made in believed({1: [2]}, old, new):
        np.testing.assert_array_equal(made, new[0].labels)


def test_what_was_taken_away_does_not_bring_what_was_added() -> None:
    old = [answer({1: [BODY, LIMB]})] * 3
    new = [answer({1: [BODY]}), answer({1: [BODY]}), answer({1: [BODY, (20, 12, 4, 4)]})]
    for made in believed({0: [1]}, old, new):
        np.testing.assert_array_equal(made, labels({1: [BODY]}))


def test_a_change_is_one_stretch_that_ends_where_both_answers_agree() -> None:
    apart, joined = answer({1: [BODY]}), answer({1: [BODY, LIMB]})
    new = [joined, joined, apart, joined, joined]
    made = believed({0: [1]}, [apart] * len(new), new)
    assert [bool(each[12, 22]) for each in made] == [True, True, False, False, False]


def test_frames_on_which_a_difference_lies_apart_are_filled_from_what_follows() -> None:
    """A change passes from one place to another: the frame between has it in the second place alone."""
    near = (14, 20, 9, 3)  # touches the limb, which reaches row 13
    beyond = (22, 20, 6, 3)  # touches `near`, but not the limb
    apart, limb = answer({1: [BODY]}), answer({1: [BODY, LIMB]})
    for gap, is_filled in ((1, True), (GAP, True), (GAP + 1, False)):
        new = [limb, *[answer({1: [BODY, beyond]})] * gap, answer({1: [BODY, near]}), answer({1: [BODY, near]})]
        made = believed({0: [1]}, [apart] * len(new), new)
        assert [bool(each[25, 21]) for each in made[1:-2]] == [is_filled] * gap, gap
        assert [bool(each[15, 21]) for each in made[-2:]] == [is_filled] * 2, gap


def test_crumbs_are_dropped_and_bring_nothing() -> None:
    """Two passes draw one contour apart by a pixel here and there; a change does not crawl along it."""
    crumb, behind = (10, 20, 2, 1), (10, 20, 6, 6)
    old = [answer({1: [BODY]})] * 4
    new = [answer({1: [BODY, (10, 20, 10, 20)]}), answer({1: [BODY, crumb]}), *[answer({1: [BODY, behind]})] * 2]
    for made in believed({0: [1]}, old, new)[1:]:
        np.testing.assert_array_equal(made, labels({1: [BODY]}))
    small = [answer({1: [BODY, crumb]})] * 4
    for made in believed({0: [1]}, old, small):  # a small correction is none of its crumbs
        np.testing.assert_array_equal(made, labels({1: [BODY, crumb]}))


def test_a_change_does_not_pass_a_frame_that_was_shown_without_it() -> None:
    old = [answer({1: [BODY]})] * 6
    new = [answer({1: [BODY, LIMB]})] * 6
    new[2] = old[2]
    made = believed({2: [1], 4: [1]}, old, new)
    assert [bool(each[12, 22]) for each in made] == [False, False, False, True, True, True]


def test_a_correction_that_changes_nothing_on_its_frame_reaches_no_other() -> None:
    there, gone = answer({1: [BODY]}), answer({})
    old, new = [there, there, *[gone] * 3], [answer({1: [BODY, LIMB]}), *[there] * 4]
    for corrected in ({1: [1]}, {0: [1], 1: [1]}):
        made = believed(corrected, old, new)
        assert not any(each.any() for each in made[2:])
        assert bool(made[0][12, 22]) == (0 in corrected)


def test_an_object_that_the_old_answer_has_lost_is_taken_from_the_new_one() -> None:
    there, gone = answer({1: [BODY]}), answer({})
    old = [there, *[gone] * 12]
    new = [answer({1: [BODY, LIMB]}), *[gone] * 8, *[answer({1: [FAR]})] * 4]
    made = believed({0: [1]}, old, new)
    for index in range(9, 13):
        np.testing.assert_array_equal(made[index], labels({1: [FAR]}))
    assert not any(each.any() for each in believed({0: [2]}, old, new)[1:]), "it is not this object that was corrected"
    other = answer({2: [FAR]})
    made = believed({0: [1]}, [answer({1: [BODY], 2: [FAR]}), other], [answer({1: [BODY, LIMB]}), answer({1: [FAR]})])
    np.testing.assert_array_equal(made[1], other.labels, "it takes nothing from another object far away")


def test_a_change_ends_where_the_new_answer_is_less_sure_and_stays_so() -> None:
    apart = answer({1: [BODY]}, of_1=0.8)
    sure = answer({1: [BODY, LIMB]}, of_1=0.8 - LESS_SURE / 2)
    unsure, lost = answer({1: [BODY, LIMB]}, of_1=0.8 - 2 * LESS_SURE), answer({}, of_1=0.6)
    for doubts, goes_on in ((1, True), (GAP, True), (GAP + 1, False)):
        new = [unsure, sure, *[unsure] * doubts, sure, lost]
        made = believed({0: [1]}, [apart] * len(new), new)
        found = [bool(each[12, 22]) for each in made]
        assert found == [True, True, *[goes_on] * doubts, goes_on, False], "on the first frame, the user is sure"
        np.testing.assert_array_equal(made[-1], apart.labels)


def test_frames_come_in_their_order_and_wait_only_while_a_change_is_in_doubt() -> None:
    """A stream gives the frames one by one."""
    apart, joined = answer({1: [BODY]}, of_1=0.8), answer({1: [BODY, LIMB]}, of_1=0.8)
    unsure = answer({1: [BODY, LIMB]}, of_1=0.7)
    way = Spread({1: [1]})
    new = [joined, joined, unsure, unsure, joined, unsure, unsure]
    came = [[frame for frame, _ in way.take(index, lambda at: (apart, new[at]))] for index in range(len(new))]
    assert came == [[0], [1], [], [], [2, 3, 4], [], []]
    assert way.end() == [(5, None), (6, None)]


def test_nothing_is_taken_from_an_object_that_gets_lost_by_it() -> None:
    both = answer({1: [BODY], 2: [LIMB]})
    moved = answer({1: [BODY, LIMB], 2: [FAR]})
    lost, gone = answer({1: [BODY, LIMB]}, of_2=0.3), answer({1: [BODY, LIMB]}, of_2=0.9)
    made = believed({0: [1]}, [both] * 4, [moved, moved, lost, gone])
    assert [int(each[12, 22]) for each in made] == [1, 1, 2, 1], "it is surely gone on the last frame"


def test_two_corrections_count_both() -> None:
    other = (16, 2, 4, 8)
    old = [answer({1: [BODY]})] * 5
    new = [answer({1: [BODY, LIMB]}), *[answer({1: [BODY, LIMB, other]})] * 4]
    for index, made in enumerate(believed({0: [1], 4: [1]}, old, new)):
        np.testing.assert_array_equal(made, new[index].labels)


def test_a_change_grows_in_the_direction_that_was_followed() -> None:
    old, new = answer({1: [BODY]}), answer({1: [BODY, LIMB]})
    for direction, frames in (("forward", {1, 2}), ("backward", {0, 1}), ("both", {0, 1, 2})):
        found = spread({1: [1]}, lambda _: (old, new), count=3, direction=direction)  # type: ignore[arg-type]
        assert {index for index, _ in found} == frames


def test_a_change_ends_at_a_frame_without_an_old_answer() -> None:
    old = [answer({1: [BODY]}), None, answer({1: [BODY]})]
    made = believed({0: [1]}, old, [answer({1: [BODY, LIMB]})] * 3)
    assert [bool(each[12, 22]) for each in made] == [True, True, False]


def test_frames_may_have_other_sizes() -> None:
    small = answer({1: [BODY]}), answer({1: [BODY, LIMB]})
    large = tuple(Answer(np.kron(each.labels, np.ones((2, 2), np.uint8)), each.states) for each in small)
    found = dict(spread({0: [1]}, lambda index: (small, large)[index], count=2))  # type: ignore[arg-type,return-value]
    np.testing.assert_array_equal(found[1], large[0].labels != large[1].labels)
