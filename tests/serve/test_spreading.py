"""Tracks on the page: a correction changes what it is about, and nothing else. No network runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from covos.core.errors import CancelledError
from covos.core.types import LabelArray, ObjectStatus
from covos.masks.frame_mask import FrameMask, objects_of
from covos.prompts.seed_mask import SeedMask
from covos.serve.clip import Clip
from covos.serve.editing import Editing
from covos.serve.edits import Edit, thing_of
from covos.serve.schema import NewPrompt, NewTrack
from covos.serve.workers import Answer, Clicked, Task
from serve.serving import COUNT, SIZE, begun
from serve.test_editing import editing_of, mask_of, queue_of, settle

BODY, LIMB, FAR = (0, 0), (0, 1), (3, 5)
"""Places of object 1, as row and column: shown, added by the correction, and far from it."""
OTHER, ELSEWHERE = (2, 3), (3, 3)
"""Places of object 2: as it is, and as a new answer has it."""
Places = dict[int, Sequence[tuple[int, int]]]
FIRST: Places = {1: [BODY], 2: [OTHER]}
ANEW: Places = {1: [BODY, LIMB, FAR], 2: [ELSEWHERE]}
RIGHT: Places = {1: [BODY, LIMB], 2: [OTHER]}


def labels(places: Places) -> LabelArray:
    made = np.zeros(SIZE, np.uint8)
    for identity, cells in places.items():
        for cell in cells:
            made[cell] = identity
    return made


def frame(index: int, places: Places) -> FrameMask:
    states = tuple(ObjectStatus(id=identity, state="present", confidence=0.8) for identity in places)
    return replace(mask_of(index), objects=objects_of(labels(places)), states=states, confidence=0.8)


class Staged:
    """Networks whose tracks find the same places on all frames, but for those that are shown."""

    def __init__(self) -> None:
        self.places = FIRST
        self.tasks: list[Task] = []
        self.meanwhile: Callable[[], object] = lambda: None
        self.each: Callable[[], object] = lambda: None

    def last(self, task: Task, *, name: str, job: str) -> Answer:
        mask = objects_of(labels({task.object: self.places[task.object]}))[task.object]  # type: ignore[attr-defined]
        seed = SeedMask(frame=task.frame, object=task.object, mask=mask, given_as="points")  # type: ignore[attr-defined]
        rest = [each for each in task.seeds if (each.frame, each.object) != (seed.frame, seed.object)]  # type: ignore[attr-defined]
        return Clicked(object=seed.object, mask=mask, seeds=(*rest, seed))

    def met(self, task: Task, way: str, index: int) -> set[int]:
        """Objects that a pass knows on a frame: those that were shown there, or on the way to it."""
        shown = {(seed.object, seed.frame) for seed in task.seeds}  # type: ignore[attr-defined]
        return {number for number, at in shown if (at <= index if way == "forward" else at >= index)}

    def run(self, task: Task, *, name: str, job: str, stopped: object) -> Iterator[Answer]:
        self.tasks.append(task)
        for way, start, count in task.parts:  # type: ignore[attr-defined]
            for at in range(count):
                index = start + at if way == "forward" else start - at
                mask = frame(
                    index, {each: self.places[each] for each in self.places if each in self.met(task, way, index)}
                )
                shown = {seed.object: seed.mask for seed in task.seeds if seed.frame == index}  # type: ignore[attr-defined]
                yield replace(mask, objects={**mask.objects, **shown})
                self.each()
        self.meanwhile()

    def stop(self) -> None:
        """Stop nothing: it is done at once."""


class Page:
    """A clip with two objects that were tracked through all frames."""

    def __init__(self, folder: Path) -> None:
        self.staged = Staged()
        self.clip = begun(folder)
        self.clip.found(mask_of(index) for index in range(COUNT))
        self.clip.change(state="done")
        for identity in (1, 2):
            self.click(0, identity, FIRST)
        self.track(FIRST, start=0)

    @property
    def editing(self) -> Editing:
        return editing_of(self.staged)  # type: ignore[arg-type]

    def click(self, index: int, identity: int, places: Places) -> None:
        self.staged.places = places
        self.editing.prompt(self.clip, NewPrompt(frame=index, object=identity, points=((1, 1),)))

    def track(self, places: Places, **asked: object) -> None:
        self.staged.places = places
        queue = queue_of(self.staged)  # type: ignore[arg-type]
        Editing(queue, clicks=self.staged).track(self.clip, NewTrack.model_validate(asked))  # type: ignore[arg-type]
        settle(queue, self.clip)
        assert not self.clip.notes

    def shown(self, clip: Clip | None = None) -> list[LabelArray]:
        return [mask.labels for _, mask in sorted((clip or self.clip).frames.items())]

    def check(self, *expected: Places) -> None:
        for index, (found, places) in enumerate(zip(self.shown(), expected, strict=True)):
            np.testing.assert_array_equal(found, labels(places), err_msg=f"frame {index}")


@pytest.fixture
def page(tmp_path: Path) -> Page:
    page = Page(tmp_path / "clips" / "one")
    page.check(*[FIRST] * COUNT)
    return page


def test_a_track_after_a_correction_changes_what_was_corrected_and_nothing_else(page: Page) -> None:
    before = page.shown()
    page.click(4, 1, RIGHT)
    page.track(ANEW, start=4, direction="both")
    page.check(FIRST, *[RIGHT] * (COUNT - 1))  # frame 0 was shown without it
    after = page.shown()
    assert page.clip.frames[0].soft is None, "a frame that stays is the very one of before"
    again = Clip.load(page.clip.folder)  # a server that was started again
    np.testing.assert_array_equal(page.shown(again), after)
    assert len(page.clip.history.frames) == COUNT
    page.editing.go(page.clip, back=True)
    page.editing.go(page.clip, back=True)
    np.testing.assert_array_equal(page.shown(), before)
    page.editing.go(page.clip, back=False)
    page.editing.go(page.clip, back=False)
    np.testing.assert_array_equal(page.shown(), after)
    # Another correction goes on from what the first has left, on a server that was started again as well.
    page.clip = again
    page.click(6, 2, {1: [], 2: [OTHER, ELSEWHERE]})
    page.track({1: [BODY], 2: [OTHER, ELSEWHERE]}, start=6, direction="both")
    both = {1: [BODY, LIMB], 2: [OTHER, ELSEWHERE]}
    page.check(FIRST, *[both] * (COUNT - 1))


def test_an_object_that_is_shown_for_the_first_time_is_taken_whole(page: Page) -> None:
    three: Places = {**ANEW, 3: [(3, 0)]}
    page.click(4, 3, three)
    page.track(three, start=4, direction="both")
    page.check(*[{**FIRST, 3: [(3, 0)]}] * COUNT)


def test_a_frame_that_was_confirmed_never_changes_nor_what_lies_beyond(page: Page) -> None:
    page.editing.confirm(page.clip, 2)
    page.click(4, 1, RIGHT)
    page.track(ANEW, start=4, direction="both")
    page.check(*[FIRST] * 3, *[RIGHT] * (COUNT - 3))


def test_a_change_grows_from_the_correction_wherever_the_track_begins(page: Page) -> None:
    page.click(2, 1, RIGHT)
    page.track(ANEW, start=5, direction="forward")
    assert page.staged.tasks[-1].parts[0] == ("forward", 2, COUNT - 2)  # type: ignore[attr-defined]
    page.check(*[FIRST] * 2, RIGHT, *[FIRST] * 2, *[RIGHT] * (COUNT - 5))


@pytest.mark.parametrize("start", [0, 2, 5, 8])
def test_both_ways_leave_no_frame_out(page: Page, start: int) -> None:
    page.click(2, 1, RIGHT)
    page.track(ANEW, start=start, direction="both")
    page.check(FIRST, *[RIGHT] * (COUNT - 1))  # frame 0 was shown without it


@pytest.mark.parametrize("start", range(COUNT))
def test_both_ways_from_any_frame_follow_every_new_object_to_both_ends(page: Page, start: int) -> None:
    three: Places = {**FIRST, 3: [(3, 0)]}
    four: Places = {**three, 4: [(3, 1)]}
    page.click(2, 3, three)
    page.click(6, 4, four)
    page.track(four, start=start, direction="both")
    page.check(*[four] * COUNT)


@pytest.mark.parametrize(("direction", "between"), [("forward", FIRST), ("both", RIGHT)])
def test_a_correction_that_was_confirmed_spreads_as_well(page: Page, direction: str, between: Places) -> None:
    page.click(2, 1, RIGHT)
    page.editing.confirm(page.clip, 2)
    page.track(ANEW, start=5, direction=direction)
    page.check(FIRST, between, RIGHT, *[between] * 2, *[RIGHT] * (COUNT - 5))


def test_a_correction_that_was_confirmed_spreads_backward(page: Page) -> None:
    page.click(5, 1, RIGHT)
    page.editing.confirm(page.clip, 5)
    page.track(ANEW, start=3, direction="backward")
    page.check(FIRST, *[RIGHT] * 3, FIRST, RIGHT, *[FIRST] * (COUNT - 6))  # the first frame was shown


def test_a_change_that_does_not_come_as_far_as_the_track_changes_nothing(page: Page) -> None:
    page.click(2, 1, RIGHT)
    page.click(4, 1, FIRST)  # shown without it
    page.track(ANEW, start=5, direction="forward")
    page.check(*[FIRST] * 2, RIGHT, *[FIRST] * (COUNT - 3))


def test_a_click_while_a_track_goes_on_counts_in_the_next(page: Page) -> None:
    page.staged.meanwhile = lambda: page.click(4, 1, RIGHT)
    page.track(FIRST, start=0)
    page.staged.meanwhile = lambda: None
    page.check(*[FIRST] * 4, RIGHT, *[FIRST] * (COUNT - 5))
    page.track(ANEW, start=4, direction="forward")
    page.check(*[FIRST] * 4, *[RIGHT] * (COUNT - 4))


def test_a_killed_track_is_what_the_next_correction_goes_on_from(page: Page) -> None:
    page.click(4, 1, RIGHT)
    page.clip.begin_track()
    for index in (4, 5):
        page.clip.follow(frame(index, RIGHT))
    page.clip = Clip.load(page.clip.folder)  # the server was killed
    page.check(*[FIRST] * 4, *[RIGHT] * 2, *[FIRST] * (COUNT - 6))
    page.track(ANEW, start=4, direction="forward")
    page.check(*[FIRST] * 4, *[RIGHT] * (COUNT - 4))


def stop() -> None:
    raise CancelledError("it was stopped", why="you asked for that", fix="ask again")


@pytest.mark.parametrize("direction", ["forward", "both"])
def test_a_track_that_is_stopped_on_the_frame_of_the_correction_has_done_nothing(page: Page, direction: str) -> None:
    page.click(4, 1, RIGHT)
    before = page.clip.history.revision
    page.staged.each = stop
    page.track(ANEW, start=4, direction=direction)
    assert page.clip.history.revision == before, "there is nothing to undo"
    assert page.clip.timeline().corrected == (4,)
    page.check(*[FIRST] * 4, RIGHT, *[FIRST] * (COUNT - 5))


def test_a_correction_is_tracked_once_the_frame_beside_it_was_followed(page: Page) -> None:
    page.click(4, 1, RIGHT)
    for frames, corrected in (((4,), (4,)), ((4, 5), ())):
        page.clip.begin_track()
        for index in frames:
            page.clip.follow(frame(index, RIGHT))
        page.clip.end_track()
        assert page.clip.timeline().corrected == corrected


def test_a_correction_between_confirmed_frames_is_tracked_at_once(page: Page) -> None:
    page.editing.confirm(page.clip, 3)
    page.editing.confirm(page.clip, 5)
    page.click(4, 1, RIGHT)
    page.track(ANEW, start=4, direction="both")
    assert page.clip.timeline().corrected == ()


def test_an_object_that_was_deleted_after_the_click_stays_away(page: Page) -> None:
    page.click(4, 1, RIGHT)
    page.editing.drop(page.clip, 2)
    page.track({1: [BODY, LIMB, FAR]}, start=4, direction="both")
    without: Places = {1: [BODY, LIMB]}
    page.check({1: [BODY]}, *[without] * (COUNT - 1))


def test_a_finished_run_that_was_opened_is_the_answer_that_a_correction_spreads_from(
    page: Page, tmp_path: Path
) -> None:
    seeds = page.clip.history.seeds
    frames = {index: frame(index, FIRST) for index in range(COUNT)}
    page.clip = begun(tmp_path / "clips" / "two")
    known = Edit(kind="opened", seeds=seeds, things=(thing_of(1), thing_of(2)), frames=frames)
    page.clip.open(known, run=("run", 1))
    page.click(4, 1, RIGHT)
    page.track(ANEW, start=4, direction="both")
    page.check(FIRST, *[RIGHT] * (COUNT - 1))
    np.testing.assert_array_equal(page.shown(Clip.load(page.clip.folder)), page.shown())


BIG: Places = {1: [(row, column) for row in range(2) for column in range(4)], 2: [ELSEWHERE]}
AGAIN: Places = {**BIG, 3: [(3, 0)]}


def test_a_correction_makes_no_frame_doubtful_before_it_is_tracked(page: Page) -> None:
    before = page.clip.timeline()
    assert before.flags == tuple(range(COUNT)), "all have a confidence of 0.8, below what is sure"
    page.click(4, 1, BIG)  # eight times as large as around it
    page.click(4, 3, AGAIN)  # on no other frame
    told = page.clip.timeline()
    assert before.reasons[4] == ("object 1: confidence 0.80", "object 2: confidence 0.80")
    assert told.reasons == {**before.reasons, 4: ("object 2: confidence 0.80",)}
    assert told.corrected == (4,)
    assert told.confidence[4] == pytest.approx(0.8), "that of object 2, which is as it was"


def test_a_frame_whose_objects_were_all_corrected_is_no_longer_doubtful(page: Page) -> None:
    page.click(4, 1, BIG)
    page.click(4, 2, BIG)
    told = page.clip.timeline()
    assert told.flags == (0, 1, 2, 3, 5, 6, 7, 8)
    assert told.confidence[4] is None
    page.track(BIG, start=4, direction="forward")
    told = page.clip.timeline()
    assert told.corrected == ()
    assert 4 in told.flags, "there is an answer again, as sure as the one before"
    page.editing.go(page.clip, back=True)
    assert 4 not in page.clip.timeline().flags


def test_an_object_that_was_tracked_to_a_mark_is_not_lost_behind_it(page: Page) -> None:
    page.click(0, 3, AGAIN)
    page.track(AGAIN, start=0, stop=3, direction="forward")
    told = page.clip.timeline()
    assert [span[:2] for span in told.objects[3] if span[2] == "present"] == [(0, 4)]
    assert not [text for found in told.reasons.values() for text in found if "object 3 is gone" in text]


def test_a_frame_is_judged_once_those_that_it_is_compared_with_are_there(tmp_path: Path) -> None:
    clip = begun(tmp_path / "clips" / "one")
    clip.change(state="running", task="finding")
    clip.found(frame(index, FIRST) for index in range(6))
    assert clip.timeline().flags == (0, 1)
    clip.change(state="cancelled")
    assert clip.timeline().flags == (0, 1, 2, 3, 4, 5)
