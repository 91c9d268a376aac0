"""The prompts of an object on a frame, one after another, as the edits of a clip tell of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from covos.core.types import MaskArray, Point
from covos.masks import RLE, decode, encode
from covos.masks.frame_mask import FrameMask
from covos.prompts.seed_mask import CONFIRMED, SeedMask
from covos.serve.edits import Edit, History
from covos.serve.frame_edits import apart, placed
from covos.serve.schema import Given, GivenKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One prompt: points, a box, or a whole mask; an empty mask says that the object is not in the frame.

    Attributes:
        points: Places (x, y) in pixels, and if each is on the object.
        box: Left, top, right, bottom.
        mask: Drawn by hand.
        confirmed: The mask is one that the user took as right.
    """

    points: tuple[Point, ...] = ()
    box: tuple[float, float, float, float] | None = None
    mask: RLE | None = None
    confirmed: bool = False

    @property
    def begins_anew(self) -> bool:
        """It does not go by what was said before."""
        return self.box is not None or self.mask is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A state that an object had on a frame while its prompts were given.

    Attributes:
        steps: The prompts in force, one after another.
        masks: The frame's masks.
        seed: The object's seed on the frame; None if there was none.
    """

    steps: tuple[Said, ...]
    masks: FrameMask
    seed: SeedMask | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The things that a user has said of an object on a frame.

    Attributes:
        steps: One after another, with those that are no longer in force.
        stages: The states before each prompt and removal, the oldest that is known first. At least one.
    """

    steps: tuple[Said, ...]
    stages: tuple[Stage, ...]

    def without(self, kind: GivenKind, *, at: tuple[int, int] | None) -> tuple[Said, ...]:
        """Return what is left to be said without a point, or without another kind of prompt.

        Prompts that are not in force come back only if nothing in force is left, in the state that they had.
        """
        return _last_begun(_after(self.steps, kind, at))

    def stage_for(self, left: tuple[Said, ...], *, now: FrameMask, number: int) -> Stage:
        """Return the latest state from which what is left goes on, without the pixels that others have got since.

        A state of which nothing remains is left out, but for the oldest: it is taken if no other fits.
        """
        for stage in reversed(self.stages):
            had = stage.masks.objects.get(number)
            mine = None if had is None else apart(had, now, number)
            if stage.steps == left[: len(stage.steps)] and (had is None or (mine is not None and mine.area)):
                return stage
        first = self.stages[0]
        masks, pointed = first.masks, None if first.seed is None else first.seed.pointed
        if pointed is not None and not pointed.corrects and any(_shows(each) for each in left):
            nothing = encode(np.zeros(masks.size, np.bool_))
            masks = placed(masks, {number: nothing})  # nothing was there before the prompts
        return Stage(steps=(), masks=masks, seed=None)


def _shows(said: Said) -> bool:
    return said.begins_anew or any(point.positive for point in said.points)


def told_of(history: History, frame: int, number: int) -> Told:
    """Return what was said of an object that has a seed on a frame."""

    def seed_in(seeds: tuple[SeedMask, ...]) -> SeedMask | None:
        return next((each for each in seeds if (each.frame, each.object) == (frame, number)), None)

    seeds = history.seeds
    now = seed_in(seeds)
    chain: list[tuple[Edit, SeedMask | None, SeedMask, FrameMask]] = []
    masks = history.frames[frame]
    for edit, state, had in history.story(frame):
        was = now if state.seeds is seeds else seed_in(state.seeds)  # most edits leave the seeds as they are
        seeds = state.seeds
        assert now is not None, "the chain ends where there was no seed"
        if edit.kind == "object" and was != now:  # it became other objects, or parts of them: it begins there
            break
        masks = had or masks
        chain.append((edit, was, now, masks))
        now = was
        if was is None or (edit.object == number and was.given_as == CONFIRMED):
            break
    steps: tuple[Said, ...] = () if now is None else _steps_of(now)
    stages = [Stage(steps=_last_begun(steps), masks=masks, seed=now)]
    for edit, was, after, masks in reversed(chain):
        if edit.object != number:
            continue
        stages.append(Stage(steps=_last_begun(steps), masks=masks, seed=was))
        if edit.kind == "removal":
            ways = (_after(steps, kind, at) for kind, at in _in_force(was))
            steps = next((each for each in ways if _named(_last_begun(each)) == _in_force(after)), _steps_of(after))
        elif (said := _said(was, after)) is not None:
            steps = (*steps, said)
    return Told(steps=steps, stages=tuple(stages))


def got_since(now: FrameMask, told: Told, *, left: tuple[Said, ...], number: int) -> MaskArray:
    """Return the pixels that other objects have got since the prompts began, but those of one that a point lies on."""
    places = [point for step in left for point in step.points if point.positive]
    before, found = told.stages[0].masks, np.zeros(now.size, np.bool_)
    for identity, rle in now.objects.items():
        theirs = decode(rle)
        if identity == number or any(theirs[int(point.y), int(point.x)] for point in places):
            continue
        if identity in before.objects:
            theirs &= ~decode(before.objects[identity])
        found |= theirs
    return found


def beside(said: Said, theirs: MaskArray) -> Said:
    """Return a prompt of which a mask has none of these pixels; one that lies in them wholly stays as it is."""
    if said.mask is None:
        return said
    rest = decode(said.mask) & ~theirs
    return replace(said, mask=encode(rest)) if rest.any() else said


def _last_begun(steps: tuple[Said, ...]) -> tuple[Said, ...]:
    """Return the prompts in force: those from where it last begins anew."""
    return steps[max((place for place, step in enumerate(steps) if step.begins_anew), default=0) :]


def _after(steps: tuple[Said, ...], kind: GivenKind, at: tuple[int, int] | None) -> tuple[Said, ...]:
    """Return the prompts without one in force; those before it if no other is in force."""
    force = _last_begun(steps)
    before = steps[: len(steps) - len(force)]
    if left := tuple(each for step in force if (each := _without(step, kind, at)) is not None):
        return (*before, *left) if left[0].begins_anew else left
    while before and _without(before[-1], kind, at) is None:  # strokes that follow each other are one mask
        before = before[:-1]
    return before


def _named(force: tuple[Said, ...]) -> set[tuple[GivenKind, tuple[int, int] | None]]:
    """Return the names of prompts in force, as a seed of them has them: points on a mask are named without it."""
    found: set[tuple[GivenKind, tuple[int, int] | None]] = set()
    for step in force:
        found.update(("point", point.pixel) for point in step.points)
        if step.box is not None:
            found.add(("box", None))
    if not found and force and not force[0].confirmed and (mask := force[0].mask) is not None:
        return {("mask" if mask.area else "absent", None)}
    return found


def given_in(history: History) -> tuple[Given, ...]:
    """Return the prompts of now, as the API describes them: those that the seeds came of."""
    return tuple(each for seed in history.seeds for each in _given(history, seed))


def _given(history: History, seed: SeedMask) -> Iterator[Given]:
    """Give the prompts that a mask came of; a confirmation is none."""
    if seed.given_as == CONFIRMED:
        return
    if seed.pointed is None:
        yield Given(frame=seed.frame, object=seed.object, kind="absent" if seed.is_absent else "mask")
        return
    at = seed.pointed.at
    if lies_on_painted(history, seed):
        yield Given(frame=seed.frame, object=seed.object, kind="mask")
    if at.box is not None:
        corners = at.box.x0, at.box.y0, at.box.x1, at.box.y1
        yield Given(frame=seed.frame, object=seed.object, kind="box", box=corners)
    for point in at.points:
        label: Literal[0, 1] = 1 if point.positive else 0
        yield Given(frame=seed.frame, object=seed.object, kind="point", x=point.x, y=point.y, label=label)


def is_in_force(history: History, seed: SeedMask | None, kind: GivenKind, *, at: tuple[int, int] | None) -> bool:
    """Tell if a prompt of this kind, of points the one of a pixel, is one that a seed came of."""
    return (kind, at) in _in_force(seed) or (kind == "mask" and seed is not None and lies_on_painted(history, seed))


def lies_on_painted(history: History, seed: SeedMask) -> bool:
    """Tell if the points of a seed correct a mask that the user has painted: it is a prompt of its own beside them."""
    if seed.pointed is None or seed.pointed.corrects in {"", "followed"}:
        return False
    first, *more = _last_begun(told_of(history, seed.frame, seed.object).steps)
    return bool(more) and first.mask is not None and first.mask.area > 0 and not first.confirmed


def _in_force(seed: SeedMask | None) -> set[tuple[GivenKind, tuple[int, int] | None]]:
    if seed is None or seed.given_as == CONFIRMED:
        return set()
    if seed.pointed is None:
        return {("absent" if seed.is_absent else "mask", None)}
    found: set[tuple[GivenKind, tuple[int, int] | None]] = set()
    found.update(("point", point.pixel) for point in seed.pointed.at.points)
    return found if seed.pointed.at.box is None else {*found, ("box", None)}


def _without(step: Said, kind: GivenKind, at: tuple[int, int] | None) -> Said | None:
    gone: dict[str, Callable[[], bool]] = {
        "box": lambda: step.box is not None,
        "mask": lambda: not step.confirmed and step.mask is not None and step.mask.area > 0,
        "absent": lambda: not step.confirmed and step.mask is not None and not step.mask.area,
    }
    if kind != "point":
        return None if gone[kind]() else step
    points = tuple(point for point in step.points if point.pixel != at)
    return None if step.points and not points else replace(step, points=points)


def _said(was: SeedMask | None, now: SeedMask) -> Said | None:
    """Return the prompt that made one seed of another."""
    if now.pointed is None:
        return Said(mask=now.mask)
    at, pointed = now.pointed.at, None if was is None else was.pointed
    if at.box is not None and (pointed is None or pointed.at.box != at.box):
        return Said(box=(at.box.x0, at.box.y0, at.box.x1, at.box.y1))
    known = () if pointed is None else pointed.at.points
    fresh = tuple(point for point in at.points if point not in known)
    return Said(points=fresh) if fresh else None


def _steps_of(seed: SeedMask) -> tuple[Said, ...]:
    """Return the prompts of a seed whose way is not known."""
    if seed.pointed is None:
        return (Said(mask=seed.mask, confirmed=seed.given_as == CONFIRMED),)
    at = seed.pointed.at
    box = () if at.box is None else (Said(box=(at.box.x0, at.box.y0, at.box.x1, at.box.y1)),)
    return (*box, *(Said(points=(point,)) for point in at.points))
