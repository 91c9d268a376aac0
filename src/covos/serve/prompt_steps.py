"""The prompts of an object on a frame, one after another, as the edits of a clip tell of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from covos.core.types import Point
from covos.masks import RLE
from covos.masks.frame_mask import FrameMask
from covos.prompts.seed_mask import SeedMask
from covos.serve.edits import Edit, History
from covos.serve.schema import GivenKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One prompt: points, a box, or a whole mask; an empty mask says that the object is not in the frame.

    Attributes:
        points: Places (x, y) in pixels, and if each is on the object.
        box: Left, top, right, bottom.
        mask: Drawn by hand.
    """

    points: tuple[Point, ...] = ()
    box: tuple[float, float, float, float] | None = None
    mask: RLE | None = None

    @property
    def begins_anew(self) -> bool:
        """It does not go by what was said before."""
        return self.box is not None or self.mask is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a user has said of an object on a frame.

    Attributes:
        steps: One after another.
        before: The frame's masks from before it all; None if they are not known, as of a run that was opened.
    """

    steps: tuple[Said, ...]
    before: FrameMask | None

    def without(self, kind: GivenKind, *, at: tuple[int, int] | None) -> tuple[Said, ...]:
        """Return what is left to be said without a point, or all of another kind, from where it last begins anew."""
        left = [each for step in self.steps if (each := _without(step, kind, at)) is not None]
        begin = max((place for place, step in enumerate(left) if step.begins_anew), default=0)
        return tuple(left[begin:])


def told_of(history: History, frame: int, number: int) -> Told:
    """Return what was said of an object that has a seed on a frame."""

    def seed_in(state: Edit) -> SeedMask | None:
        return next((each for each in state.seeds if (each.frame, each.object) == (frame, number)), None)

    now = next(each for each in history.seeds if (each.frame, each.object) == (frame, number))
    chain: list[tuple[Edit, SeedMask | None, SeedMask]] = []
    before: FrameMask | None = None
    steps: list[Said] = []
    for edit, state, masks in history.story(frame):
        was = seed_in(state)
        if edit.kind == "object" and was != now:  # it became other objects, or parts of them: it begins there
            steps = _steps_of(now)
            break
        chain.append((edit, was, now))
        if was is None:
            before = masks
            break
        now = was
    else:
        steps = _steps_of(now)
    for edit, was, after in reversed(chain):
        if edit.object != number:
            continue
        if edit.kind == "removal":
            for kind, at in _in_force(was) - _in_force(after):
                steps = [each for step in steps if (each := _without(step, kind, at)) is not None]
        elif (said := _said(was, after)) is not None:
            steps.append(said)
    return Told(steps=tuple(steps), before=before)


def is_in_force(seed: SeedMask | None, kind: GivenKind, *, at: tuple[int, int] | None) -> bool:
    """Tell if a prompt of this kind, of points the one of a pixel, is one that a seed came of."""
    return (kind, at) in _in_force(seed)


def _in_force(seed: SeedMask | None) -> set[tuple[GivenKind, tuple[int, int] | None]]:
    if seed is None or seed.given_as == "confirmed":
        return set()
    if seed.pointed is None:
        return {("absent" if seed.is_absent else "mask", None)}
    found: set[tuple[GivenKind, tuple[int, int] | None]] = set()
    found.update(("point", point.pixel) for point in seed.pointed.at.points)
    return found if seed.pointed.at.box is None else {*found, ("box", None)}


def _without(step: Said, kind: GivenKind, at: tuple[int, int] | None) -> Said | None:
    gone: dict[str, Callable[[], bool]] = {
        "box": lambda: step.box is not None,
        "mask": lambda: step.mask is not None and step.mask.area > 0,
        "absent": lambda: step.mask is not None and not step.mask.area,
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


def _steps_of(seed: SeedMask) -> list[Said]:
    """Return the prompts of a seed whose way is not known."""
    if seed.pointed is None:
        return [Said(mask=seed.mask)]
    at = seed.pointed.at
    box = [] if at.box is None else [Said(box=(at.box.x0, at.box.y0, at.box.x1, at.box.y1))]
    return [*box, *(Said(points=(point,)) for point in at.points)]
