"""One prompt of several is taken back: the mask is made of the others, or is that of before. No network runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from covos.core.errors import UsageError
from covos.core.types import Box, Point
from covos.engines.choices import SUBJECT
from covos.masks import decode, encode
from covos.prompts.seed_mask import ABSENT, Pointed, SeedMask
from covos.prompts.values import PointPrompt
from covos.serve.clip import Clip
from covos.serve.editing import Editing
from covos.serve.edits import Edit, History, thing_of
from covos.serve.errors import NotThereError, NotYetError
from covos.serve.prompt_steps import given_in, told_of
from covos.serve.schema import Given, MaskCode, NewPrompt, NewTrack
from covos.serve.tasks import Click
from covos.serve.views import view_of
from covos.serve.workers import Answer, Clicked, Task
from serve.serving import SIZE, begun
from serve.test_editing import Answers, editing_of, mask_of, queue_of


class Painter(Answers):
    """Each point adds its column to a mask, or takes it away; a box is its columns; a mask is as it is given."""

    def last(self, task: Task, *, name: str, job: str) -> Answer:
        assert isinstance(task, Click)
        own = np.zeros(SIZE, np.bool_)
        if task.known is not None and task.object in task.known.objects:
            own = decode(task.known.objects[task.object])
        key = task.frame, task.object
        seed = next((each for each in task.seeds if (each.frame, each.object) == key), None)
        for said in task.said:
            own = own if seed is None else decode(seed.mask)
            at = PointPrompt(frame=task.frame, object=task.object, points=(Point(x=0, y=0, positive=True),))
            before = () if seed is None or seed.pointed is None else seed.pointed.at.points
            box = None if seed is None or seed.pointed is None else seed.pointed.at.box
            if said.mask is not None:
                own, pointed = decode(said.mask), None
            elif said.box is not None:
                own = np.zeros(SIZE, np.bool_)
                own[:, int(said.box[0]) : int(said.box[2])] = True
                corners = Box(**dict(zip(("x0", "y0", "x1", "y1"), said.box, strict=True)))
                pointed = Pointed(at=at.model_copy(update={"points": (), "box": corners}), prompter="painter")
            else:
                for point in said.points:
                    own[:, int(point.x)] = point.positive
                places = at.model_copy(update={"points": (*before, *said.points), "box": box})
                on_mask = "a mask" if seed is not None and seed.pointed is None else ""
                corrects = on_mask if seed is None or seed.pointed is None else seed.pointed.corrects
                pointed = Pointed(at=places, prompter="painter", corrects=corrects)
            given_as = "points" if pointed is not None else "mask" if own.any() else ABSENT
            seed = SeedMask(frame=task.frame, object=task.object, mask=encode(own), given_as=given_as, pointed=pointed)
        assert seed is not None
        rest = [each for each in task.seeds if (each.frame, each.object) != key]
        return Clicked(object=task.object, mask=seed.mask, seeds=(*rest, seed))


@pytest.fixture
def clip(tmp_path: Path) -> Clip:
    """A clip of nine frames with the subject in the first column."""
    clip = begun(tmp_path / "clips" / "one")
    clip.found(mask_of(index, SUBJECT) for index in range(9))
    clip.change(state="done")
    return clip


@pytest.fixture
def editing() -> Editing:
    return editing_of(Painter())


def point(x: int, *, on: int = 1, number: int | None = SUBJECT) -> NewPrompt:
    return NewPrompt(frame=4, object=number, points=((x, 1),), labels=(on,))  # type: ignore[arg-type]


def drawn(*columns: int, number: int | None = SUBJECT) -> NewPrompt:
    mask = np.zeros(SIZE, np.bool_)
    mask[:, list(columns)] = True
    code = encode(mask).to_coco()
    return NewPrompt(frame=4, object=number, mask=MaskCode(size=code["size"], counts=code["counts"]))


def columns(clip: Clip, number: int = SUBJECT) -> list[int]:
    rle = clip.history.frames[4].objects.get(number)
    return [] if rle is None else np.flatnonzero(decode(rle)[0]).tolist()


def kinds(clip: Clip) -> list[str]:
    return [each.kind for each in view_of(clip, place=None, making={}).prompts]


def test_one_point_of_three_is_taken_back(clip: Clip, editing: Editing) -> None:
    for x in (1, 2, 3):
        editing.prompt(clip, point(x))
    view = editing.take_back(clip, 4, number=SUBJECT, kind="point", at=(2, 1))
    assert columns(clip) == [0, 1, 3]
    assert [(each.x, each.label) for each in view.prompts] == [(1, 1), (3, 1)]
    assert view.undo == "removal"
    editing.go(clip, back=True)
    assert columns(clip) == [0, 1, 2, 3]
    assert kinds(clip) == ["point"] * 3
    editing.go(clip, back=False)
    assert columns(clip) == [0, 1, 3]
    again = Clip.load(clip.folder)
    assert columns(again) == [0, 1, 3]
    assert kinds(again) == ["point"] * 2


def test_a_view_tells_the_prompts_anew_only_when_they_change(
    clip: Clip, editing: Editing, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = list[int]()

    def counted(history: History) -> tuple[Given, ...]:
        told.append(history.revision)
        return given_in(history)

    monkeypatch.setattr("covos.serve.clip.given_in", counted)
    editing.prompt(clip, drawn(0, 2))
    editing.prompt(clip, point(5))
    told.clear()
    clip.add(clip.history.edit("edges"))
    assert kinds(clip) == kinds(clip) == ["mask", "point"]
    assert told == []
    editing.go(clip, back=True)
    editing.go(clip, back=True)
    assert kinds(clip) == ["mask"]
    assert told == [1]
    clip.forget()
    assert kinds(clip) == ["mask"]
    assert told == [1, 1]


def test_edits_that_leave_the_seeds_cost_no_look_at_them(clip: Clip) -> None:
    looks = list[int]()

    class Looked(tuple[SeedMask, ...]):
        def __iter__(self) -> Iterator[SeedMask]:
            looks.append(1)
            return super().__iter__()

    mask = clip.history.frames[4].objects[SUBJECT]
    seed = SeedMask(frame=4, object=SUBJECT, mask=mask, given_as="mask")
    clip.history.add(clip.history.edit("prompt", seeds=Looked((seed,)), shown=SUBJECT))
    for _ in range(50):
        clip.history.add(clip.history.edit("edges"))
    assert [each.mask for each in told_of(clip.history, 4, SUBJECT).steps] == [mask]
    assert len(looks) == 1


def test_the_last_one_leaves_the_mask_of_before(clip: Clip, editing: Editing) -> None:
    before = clip.history.frames[4]
    editing.prompt(clip, point(3))
    assert clip.timeline().corrected == (4,)
    editing.take_back(clip, 4, number=SUBJECT, kind="point", at=(3, 1))
    assert clip.history.frames[4] == before
    assert clip.history.seeds == ()
    assert clip.timeline().corrected == ()


def test_a_new_object_goes_with_its_only_prompt(clip: Clip, editing: Editing) -> None:
    editing.prompt(clip, point(0, number=None))
    assert columns(clip) == []
    view = editing.take_back(clip, 4, number=2, kind="point", at=(0, 1))
    assert [thing.id for thing in view.objects] == [SUBJECT]
    assert columns(clip) == [0], "the subject has its pixels again"


def test_strokes_go_together_and_points_before_them_come_back(clip: Clip, editing: Editing) -> None:
    editing.prompt(clip, point(1))
    editing.prompt(clip, drawn(0, 1, 4))
    editing.prompt(clip, drawn(0, 1, 4, 5))
    assert kinds(clip) == ["mask"]
    editing.take_back(clip, 4, number=SUBJECT, kind="mask", at=None)
    assert columns(clip) == [0, 1]
    assert kinds(clip) == ["point"]


def test_points_go_on_without_the_painted_mask_that_they_corrected(clip: Clip, editing: Editing) -> None:
    editing.prompt(clip, drawn(0, 2, 3))
    editing.prompt(clip, point(5))
    editing.prompt(clip, point(1))
    assert (columns(clip), kinds(clip)) == ([0, 1, 2, 3, 5], ["mask", "point", "point"])
    editing.take_back(clip, 4, number=SUBJECT, kind="point", at=(1, 1))
    assert (columns(clip), kinds(clip)) == ([0, 2, 3, 5], ["mask", "point"])
    editing.take_back(clip, 4, number=SUBJECT, kind="mask", at=None)
    assert (columns(clip), kinds(clip)) == ([0, 5], ["point"])
    editing.go(clip, back=True)
    assert kinds(Clip.load(clip.folder)) == ["mask", "point"]
    editing.take_back(clip, 4, number=SUBJECT, kind="point", at=(5, 1))
    assert (columns(clip), kinds(clip)) == ([0, 2, 3], ["mask"])


def test_a_confirmed_frame_that_was_corrected_lists_the_correction_alone(clip: Clip, editing: Editing) -> None:
    editing.confirm(clip, 4)
    editing.prompt(clip, point(5))
    assert kinds(clip) == ["point"]
    with pytest.raises(NotThereError, match="no such prompt"):
        editing.take_back(clip, 4, number=SUBJECT, kind="mask", at=None)


def test_points_go_on_without_the_box_that_they_corrected(clip: Clip, editing: Editing) -> None:
    editing.prompt(clip, NewPrompt(frame=4, object=SUBJECT, box=(2, 0, 5, 4)))
    editing.prompt(clip, point(5))
    assert (columns(clip), kinds(clip)) == ([2, 3, 4, 5], ["box", "point"])
    editing.take_back(clip, 4, number=SUBJECT, kind="box", at=None)
    assert (columns(clip), kinds(clip)) == ([0, 5], ["point"])


def test_one_that_is_removed_stays_removed_when_another_is(clip: Clip, editing: Editing) -> None:
    for x in (1, 2, 3):
        editing.prompt(clip, point(x))
    for x in (1, 3):
        editing.take_back(clip, 4, number=SUBJECT, kind="point", at=(x, 1))
    assert columns(clip) == [0, 2]


def test_what_another_object_has_got_since_stays_its_own(clip: Clip, editing: Editing) -> None:
    editing.prompt(clip, point(1))
    editing.prompt(clip, point(0, number=None))
    editing.take_back(clip, 4, number=SUBJECT, kind="point", at=(1, 1))
    assert (columns(clip), columns(clip, 2)) == ([], [0])


def test_a_prompt_that_is_not_there_is_refused(clip: Clip, editing: Editing) -> None:
    with pytest.raises(NotThereError, match="no such prompt of object 1 on frame 4"):
        editing.take_back(clip, 4, number=SUBJECT, kind="box", at=None)
    editing.prompt(clip, point(1))
    editing.confirm(clip, 4)
    with pytest.raises(NotThereError, match="confirmed since"):
        editing.take_back(clip, 4, number=SUBJECT, kind="point", at=(1, 1))
    editing.unconfirm(clip, 4)
    editing.take_back(clip, 4, number=SUBJECT, kind="point", at=(1, 1))
    assert columns(clip) == [0]


def test_an_object_is_not_in_a_frame(clip: Clip, editing: Editing) -> None:
    editing.prompt(clip, drawn())
    assert (columns(clip), kinds(clip)) == ([], ["absent"])
    again = Clip.load(clip.folder)
    assert (columns(again), kinds(again)) == ([], ["absent"]), "it is kept"
    editing.go(clip, back=True)
    assert (columns(clip), kinds(clip)) == ([0], [])
    editing.go(clip, back=False)
    with pytest.raises(NotYetError, match="nothing to follow"):
        editing.track(clip, NewTrack(start=4))
    editing.confirm(clip, 4)
    assert clip.confirmed == {4}, "the frame is right without it"
    editing.unconfirm(clip, 4)
    assert kinds(clip) == ["absent"]
    editing.take_back(clip, 4, number=SUBJECT, kind="absent", at=None)
    assert (columns(clip), kinds(clip)) == ([0], [])


def test_a_painted_mask_comes_back_when_the_object_is_in_the_frame_again(clip: Clip, editing: Editing) -> None:
    editing.prompt(clip, drawn(2, 3))
    editing.prompt(clip, drawn())
    editing.take_back(clip, 4, number=SUBJECT, kind="absent", at=None)
    assert (columns(clip), kinds(clip)) == ([2, 3], ["mask"])


def test_a_new_object_is_not_absent(clip: Clip, editing: Editing) -> None:
    with pytest.raises(UsageError, match="the mask of a new object is empty"):
        editing.prompt(clip, drawn(number=None))
    with pytest.raises(NotThereError, match="no object 7"):
        editing.prompt(clip, drawn(number=7))


def test_a_track_leaves_an_object_alone_that_is_only_absent(clip: Clip, editing: Editing) -> None:
    editing.prompt(clip, drawn())
    editing.prompt(clip, NewPrompt(frame=0, points=((3, 1),)))  # object 2
    editing.track(clip, NewTrack(start=0, direction="forward"))
    (work,) = editing._queue._queue
    work.run()
    shown = [sorted(clip.history.frames[index].objects) for index in range(9)]
    assert shown == [[1, 2] if index != 4 else [2] for index in range(9)]


def test_what_another_object_has_got_since_stays_its_own_when_one_prompt_of_two_goes(
    clip: Clip, editing: Editing
) -> None:
    for each in (point(1), point(2), point(0, number=None)):
        editing.prompt(clip, each)
    assert (columns(clip), columns(clip, 2)) == ([1, 2], [0])
    editing.take_back(clip, 4, number=SUBJECT, kind="point", at=(1, 1))  # the mask is made anew
    assert (columns(clip), columns(clip, 2)) == ([2], [0])
    editing.go(clip, back=True)
    editing.take_back(clip, 4, number=SUBJECT, kind="point", at=(2, 1))  # an earlier mask comes back
    assert (columns(clip), columns(clip, 2)) == ([1], [0])


def test_a_mask_of_before_leaves_another_object_what_it_has_got_since(clip: Clip, editing: Editing) -> None:
    for each in (drawn(0, 1, 2), point(4), point(5), drawn(1, number=None)):
        editing.prompt(clip, each)
    editing.take_back(clip, 4, number=SUBJECT, kind="point", at=(4, 1))
    assert (columns(clip), columns(clip, 2)) == ([0, 2, 5], [1])
    assert {seed.object: np.flatnonzero(decode(seed.mask)[0]).tolist() for seed in clip.history.seeds} == {
        1: [0, 2, 5],
        2: [1],
    }


def test_a_point_that_is_left_keeps_what_it_took_from_another_object(clip: Clip, editing: Editing) -> None:
    for each in (drawn(3, 4, number=None), point(3), point(5), point(1)):
        editing.prompt(clip, each)
    editing.take_back(clip, 4, number=SUBJECT, kind="point", at=(1, 1))
    assert (columns(clip), columns(clip, 2)) == ([0, 3, 5], [4])
    editing.take_back(clip, 4, number=SUBJECT, kind="point", at=(3, 1))
    assert (columns(clip), columns(clip, 2)) == ([0, 5], [3, 4])


def test_nothing_is_removed_while_a_track_runs(clip: Clip) -> None:
    queue = queue_of(Answers())
    editing = editing_of(Painter(), queue)
    editing.prompt(clip, point(5, number=None))
    editing.track(clip, NewTrack(start=4))
    with pytest.raises(NotYetError, match="being followed"):
        editing.take_back(clip, 4, number=2, kind="point", at=(5, 1))
    assert kinds(clip) == ["point"]


def test_a_track_leaves_no_mask_of_an_object_that_is_gone(clip: Clip, editing: Editing) -> None:
    editing.prompt(clip, point(5, number=None))
    clip.begin_track()
    clip.follow(mask_of(6, SUBJECT, 2))
    editing.take_back(clip, 4, number=2, kind="point", at=(5, 1))  # it came before the track was known to the queue
    clip.end_track()
    assert sorted(clip.history.frames[6].objects) == [SUBJECT]


def opened(clip: Clip, seed: SeedMask) -> None:
    """Let a clip begin with a seed of a run."""
    frames = {index: mask_of(index, SUBJECT) for index in range(9)}
    clip.history.begin(Edit(kind="opened", seeds=(seed,), things=(thing_of(SUBJECT),), frames=frames))


def test_a_run_has_its_mask_again_when_what_was_added_goes(clip: Clip, editing: Editing) -> None:
    at = PointPrompt(frame=4, object=1, points=(Point(x=3, y=1, positive=False),))
    mask = clip.history.frames[4].objects[SUBJECT]
    pointed = Pointed(at=at, prompter="painter", corrects="followed")
    seed = SeedMask(frame=4, object=SUBJECT, mask=mask, given_as="points", pointed=pointed)
    opened(clip, seed)
    for x in (5, 1):
        editing.prompt(clip, point(x))
    editing.take_back(clip, 4, number=SUBJECT, kind="point", at=(5, 1))
    assert columns(clip) == [0, 1], "the mask is made from that of the run"
    editing.take_back(clip, 4, number=SUBJECT, kind="point", at=(1, 1))
    assert columns(clip) == [0]
    assert clip.history.seeds == (seed,)
    editing.prompt(clip, point(5))
    editing.take_back(clip, 4, number=SUBJECT, kind="point", at=(3, 1))
    assert (columns(clip), kinds(clip)) == ([0, 5], ["point"]), "a mask that the point corrected stays"
    editing.take_back(clip, 4, number=SUBJECT, kind="point", at=(5, 1))
    assert (columns(clip), kinds(clip)) == ([0], [])


def test_a_box_before_the_box_comes_back_with_its_point(clip: Clip, editing: Editing) -> None:
    editing.prompt(clip, NewPrompt(frame=4, object=SUBJECT, box=(2, 0, 5, 4)))
    editing.prompt(clip, point(3, on=0))
    editing.prompt(clip, NewPrompt(frame=4, object=SUBJECT, box=(2, 0, 6, 4)))
    assert (columns(clip), kinds(clip)) == ([2, 3, 4, 5], ["box"])
    editing.take_back(clip, 4, number=SUBJECT, kind="box", at=None)
    assert (columns(clip), kinds(clip)) == ([2, 4], ["box", "point"])
    editing.take_back(clip, 4, number=SUBJECT, kind="point", at=(3, 1))
    assert (columns(clip), kinds(clip)) == ([2, 3, 4], ["box"])
    editing.take_back(clip, 4, number=SUBJECT, kind="box", at=None)
    assert (columns(clip), kinds(clip)) == ([0], [])


def test_a_point_that_a_box_has_replaced_does_not_come_back_beside_another(clip: Clip, editing: Editing) -> None:
    editing.prompt(clip, point(1))
    editing.prompt(clip, NewPrompt(frame=4, object=SUBJECT, box=(2, 0, 5, 4)))
    editing.prompt(clip, point(5))
    editing.take_back(clip, 4, number=SUBJECT, kind="box", at=None)
    assert (columns(clip), kinds(clip)) == ([0, 5], ["point"])


@pytest.mark.parametrize("alone", [True, False])
def test_a_frame_is_confirmed_again_without_its_correction(clip: Clip, editing: Editing, *, alone: bool) -> None:
    editing.prompt(clip, drawn(2, 3))
    if not alone:
        editing.prompt(clip, point(5, number=None))
    editing.confirm(clip, 4)
    before = clip.history.seeds
    editing.prompt(clip, point(4))
    editing.prompt(clip, point(1))
    assert not clip.confirmed
    editing.take_back(clip, 4, number=SUBJECT, kind="point", at=(4, 1))
    assert (columns(clip), kinds(clip)[:1]) == ([1, 2, 3], ["point"])
    editing.take_back(clip, 4, number=SUBJECT, kind="point", at=(1, 1))
    assert columns(clip) == [2, 3]
    assert clip.confirmed == {4}
    assert {seed.object: seed for seed in clip.history.seeds} == {seed.object: seed for seed in before}
    editing.unconfirm(clip, 4)
    assert kinds(clip)[:1] == ["mask"]


def test_a_frame_without_masks_has_no_prompt(tmp_path: Path, editing: Editing) -> None:
    clip = begun(tmp_path / "clips" / "short")
    clip.found(mask_of(index, SUBJECT) for index in range(3))
    with pytest.raises(NotThereError, match="no such prompt of object 1 on frame 4"):
        editing.take_back(clip, 4, number=SUBJECT, kind="point", at=(1, 1))


def test_an_object_stays_absent_when_the_one_that_covered_it_is_deleted(clip: Clip, editing: Editing) -> None:
    for each in (drawn(0, 1), point(0, number=None), drawn()):
        editing.prompt(clip, each)
    editing.drop(clip, 2)
    assert (columns(clip), kinds(clip)) == ([], ["absent"])


@pytest.mark.parametrize(("number", "into"), [(2, 1), (1, 2)])
def test_an_object_stays_absent_when_another_becomes_a_part_of_it(
    clip: Clip, editing: Editing, *, number: int, into: int
) -> None:
    editing.prompt(clip, drawn())
    editing.prompt(clip, NewPrompt(frame=0, points=((3, 1),)))  # object 2
    editing.merge(clip, number, into=into)
    seeds = [(seed.frame, seed.object, seed.given_as) for seed in clip.history.seeds]
    assert sorted(seeds) == [(0, into, "mask"), (4, into, "absent")]


def test_two_objects_in_one_are_in_a_frame_if_either_is(clip: Clip, editing: Editing) -> None:
    editing.prompt(clip, drawn())
    editing.prompt(clip, point(3, number=None))
    editing.merge(clip, 2, into=SUBJECT)
    assert (columns(clip), kinds(clip)) == ([3], ["mask"])
