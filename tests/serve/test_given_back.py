"""Pixels that one object took from another go back to it when a click leaves them, or the object is deleted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from covos.engines.choices import SUBJECT
from covos.masks import decode, encode
from covos.masks.frame_mask import FrameMask
from covos.prompts.seed_mask import SeedMask
from covos.serve.clip import Clip
from covos.serve.schema import NewPrompt, NewTrack
from covos.serve.tasks import Click
from covos.serve.workers import Answer, Clicked, Task
from serve.answers import CLICK, Answers, editing_of, mask_of, queue_of, settle
from serve.serving import SIZE, begun


def wide(index: int, **objects: tuple[int, ...]) -> FrameMask:
    """Masks of objects, of these columns each: ``one=(0, 1)``."""
    masks = {}
    for number, columns in enumerate(objects.values(), start=1):
        mask = np.zeros(SIZE, np.bool_)
        mask[:, list(columns)] = True
        masks[number] = encode(mask)
    return replace(mask_of(index), objects=masks)


def columns_of(clip: Clip, index: int = 0) -> dict[int, set[int]]:
    objects = clip.history.frames[index].objects
    return {number: set(np.flatnonzero(decode(rle)[0]).tolist()) for number, rle in objects.items()}


class Painter(Answers):
    """Each prompt shows the next of these columns, and takes them from the seeds of others, as a session does."""

    def __init__(self, *answers: tuple[int, ...]) -> None:
        super().__init__()
        self.answers = list(answers)
        self.known: list[set[int]] = []
        """Columns of the subject, as each prompt was told them."""

    def last(self, task: Task, *, name: str, job: str) -> Answer:
        assert isinstance(task, Click)
        assert task.known is not None
        subject = task.known.objects.get(SUBJECT)
        self.known.append(set() if subject is None else set(np.flatnonzero(decode(subject)[0]).tolist()))
        mask = np.zeros(SIZE, np.bool_)
        mask[:, list(self.answers.pop(0))] = True
        rest = [
            each.without(mask, by=task.object) if each.frame == task.frame else each
            for each in task.seeds
            if (each.frame, each.object) != (task.frame, task.object)
        ]
        seed = SeedMask(frame=task.frame, object=task.object, mask=encode(mask), given_as="points")
        return Clicked(object=task.object, mask=seed.mask, seeds=(*rest, seed))


def columns_of_seeds(clip: Clip) -> dict[int, set[int]]:
    return {seed.object: set(np.flatnonzero(decode(seed.mask)[0]).tolist()) for seed in clip.history.seeds}


@pytest.fixture
def horse(tmp_path: Path) -> Clip:
    """A clip whose subject has four columns of three frames."""
    clip = begun(tmp_path / "clips" / "one")
    clip.found(wide(index, subject=(0, 1, 2, 3)) for index in range(3))
    clip.change(state="cancelled")
    return clip


AGAIN = NewPrompt(frame=0, points=((2, 2),), labels=(0,), object=2)


@pytest.mark.parametrize("given", [False, True], ids=["a found subject", "a subject that was shown"])
def test_what_a_new_object_gives_back_is_the_subjects_again(horse: Clip, given: bool) -> None:
    subject = [(0, 1, 2, 3)] if given else []
    editing = editing_of(painter := Painter(*subject, (1, 2, 3, 5), (1, 2), (2,), (2, 3)))
    if given:
        editing.prompt(horse, NewPrompt(frame=0, points=((0, 0),), object=SUBJECT))
    editing.prompt(horse, CLICK)
    assert columns_of(horse) == {1: {0}, 2: {1, 2, 3, 5}}
    editing.prompt(horse, AGAIN)
    assert columns_of(horse) == {1: {0, 3}, 2: {1, 2}}
    editing.show(horse, SUBJECT, name="horse", hidden=None)  # an edit that has nothing to do with the frame
    editing.prompt(horse, AGAIN)
    assert columns_of(horse) == {1: {0, 1, 3}, 2: {2}}
    assert painter.known[-1] == {0, 1, 2, 3}
    if given:
        assert columns_of_seeds(horse) == {1: {0, 1, 3}, 2: {2}}
    editing.go(horse, back=True)
    assert columns_of(horse) == {1: {0, 3}, 2: {1, 2}}
    editing.confirm(horse, 0)  # what is confirmed is where the next prompts begin
    editing.prompt(horse, AGAIN)
    assert columns_of(horse) == {1: {0}, 2: {2, 3}}


def test_a_deleted_object_leaves_no_holes(horse: Clip) -> None:
    queue = queue_of(Answers())
    editing = editing_of(Painter((0, 1, 2), (1, 4)), queue)
    editing.prompt(horse, CLICK)
    editing.prompt(horse, AGAIN)
    editing.track(horse, NewTrack(start=0, stop=2))
    settle(queue, horse)
    assert columns_of(horse, 2) == {1: {0, 2, 3}, 2: {1}}
    editing.drop(horse, 2)
    assert [columns_of(horse, index)[SUBJECT] for index in range(3)] == [{0, 1, 2, 3}] * 3
    editing.go(horse, back=True)
    assert columns_of(horse, 2) == {1: {0, 2, 3}, 2: {1}}


def test_a_deleted_object_gives_nothing_of_what_a_third_has_taken(horse: Clip) -> None:
    editing = editing_of(Painter((1, 2, 3), (2,)))
    editing.prompt(horse, CLICK)
    editing.prompt(horse, CLICK)
    editing.drop(horse, 2)
    assert columns_of(horse) == {1: {0, 1, 3}, 3: {2}}


def test_an_object_that_was_made_a_part_of_a_deleted_one_does_not_come_back(horse: Clip) -> None:
    editing = editing_of(Painter((1, 2)))
    editing.prompt(horse, CLICK)
    editing.merge(horse, SUBJECT, into=2)
    editing.drop(horse, 2)
    assert columns_of(horse) == {}


def test_a_seed_has_the_pixels_of_a_deleted_object_again(horse: Clip) -> None:
    editing = editing_of(Painter((0, 1, 2, 3), (2, 5)))
    editing.prompt(horse, NewPrompt(frame=0, points=((0, 0),), object=SUBJECT))
    editing.prompt(horse, CLICK)
    assert columns_of_seeds(horse) == {1: {0, 1, 3}, 2: {2, 5}}
    editing.drop(horse, 2)
    assert columns_of(horse) == columns_of_seeds(horse) == {1: {0, 1, 2, 3}}


def test_an_object_that_was_deleted_does_not_come_back_with_the_next_prompt(horse: Clip) -> None:
    editing = editing_of(Painter((0, 1, 2, 3), (1, 2)))
    editing.prompt(horse, CLICK)
    assert columns_of(horse) == {2: {0, 1, 2, 3}}  # all that the subject had there
    editing.drop(horse, SUBJECT)
    editing.prompt(horse, AGAIN)
    assert columns_of(horse) == {2: {1, 2}}
