"""Seeds: the masks that a user's prompts have become, by frame and object, with the way back from each step.

Points and boxes may wait as they are: a mask of them takes the frame and a model (see `covos.sessions.session`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.errors import UsageError
from covos.core.types import MaskArray, Point, SourceInfo
from covos.core.whole import whole_number
from covos.core.words import Words
from covos.engines.choices import MAX_GIVEN
from covos.masks import NAMELESS, RLE, decode, encode, objects_in, read_objects
from covos.media.range import place_of
from covos.prompts.decoded import DecodedMasks
from covos.prompts.rows import point_name
from covos.prompts.seed_mask import ABSENT, CONFIRMED, MAX_ID, Key, Pointed, SeedMask, corrected_between, to_follow
from covos.prompts.values import PointPrompt, check_labels, check_mask, check_points, refuse_many_points


class Seeds:
    """The seeds of one video, and the prompts that wait to become some.

    Frames are named by their number in the whole source, as the user does it; `given`, `fingerprints` and `places` name
    them by their position among those that are taken, as an engine does it.

    Args:
        info: Description of the video.
        own_size: Gives the (height, width) of a frame by its number, in a video whose size may change: masks may have
            it, too. None if all frames have one size.
    """

    def __init__(self, info: SourceInfo, *, own_size: Callable[[int], tuple[int, int]] | None = None) -> None:
        self.info = info
        self._own_size = own_size
        self._states: list[dict[Key, SeedMask]] = [{}]
        self._births: list[dict[int, int]] = [{}]
        self._line = [0]
        self._begun = [frozenset[Key]()]
        """Of each state, the seeds that were there to begin with and that nobody has replaced."""
        self._steps = 0
        self._waiting: dict[Key, PointPrompt] = {}
        self._nameless: dict[int, int] = {}
        """Objects that a mask without an id showed first, each with its frame."""
        self._cut_notes: dict[str, None] = {}

    @property
    def current(self) -> tuple[SeedMask, ...]:
        """All seeds, by frame, then in the order in which objects were given."""
        return tuple(sorted(self._states[-1].values(), key=lambda seed: seed.frame))

    @property
    def objects(self) -> tuple[int, ...]:
        """Ids, ascending."""
        return tuple(sorted({identity for _, identity in self._keys}))

    @property
    def births(self) -> dict[int, int]:
        """For each object that has a mask, here or elsewhere (see `know`), the step that it came with.

        An id may be given to another object, which then has another step; what is undone gets its own back.
        """
        return self._births[-1]

    @property
    def line(self) -> tuple[int, ...]:
        """The steps that led to the seeds of now, the latest last; those that were taken back are none of them."""
        return tuple(self._line)

    def corrected_since(self, step: int) -> dict[int, set[int]]:
        """Return, by frame position, the objects with a seed there of which one came, went or changed since a step.

        The step is one of `line`. A seed that has gone since counts as well.
        """
        found = corrected_between(self._states[self._line.index(step)].values(), self._states[-1].values())
        return {place_of(frame, self.info): identities for frame, identities in found.items()}

    @property
    def frames(self) -> tuple[int, ...]:
        """Numbers of the frames that objects are shown on, or will be, ascending."""
        shown = {seed.frame for seed in self.current if not seed.is_absent}
        return tuple(sorted(shown | {frame for frame, _ in self._waiting}))

    @property
    def places(self) -> tuple[int, ...]:
        """Positions of the seed frames, ascending."""
        return tuple(place_of(frame, self.info) for frame in self.frames)

    @property
    def waiting(self) -> tuple[tuple[int, PointPrompt], ...]:
        """The prompts without a mask yet, by frame, each with its object."""
        return tuple((key[1], self._waiting[key]) for key in sorted(self._waiting, key=lambda key: key[0]))

    @property
    def _keys(self) -> set[Key]:
        return {*self._states[-1], *self._waiting}

    @property
    def nameless_note(self) -> str:
        """Warn of masks without ids on several frames, each of which is taken for another object; or ""."""
        frames = sorted({*self._nameless.values()})
        if len(frames) < 2:
            return ""
        objects = ", ".join(map(str, sorted(self._nameless)))
        return (
            f"masks without an id, on frames {', '.join(map(str, frames))}, show as many objects: {objects}; if they "
            f"are of one object, give all the id {min(self._nameless)}"
        )

    @property
    def cut_notes(self) -> tuple[str, ...]:
        """Say of which mask files soft edges were cut, and where; see `covos.masks.shown`."""
        return tuple(self._cut_notes)

    def get(self, frame: int, identity: int) -> SeedMask | None:
        """Return the seed of an object on a frame, if there is one."""
        return self._states[-1].get((frame, identity))

    def areas(self, identity: int) -> dict[int, int]:
        """Return the pixels of an object on the frames that show it, by their numbers."""
        return {seed.frame: seed.mask.area for seed in self.current if seed.object == identity and not seed.is_absent}

    @property
    def smallest(self) -> float:
        """Share of the frame that the smallest object covers, each where it was shown largest; 1 if nothing is."""
        whole, largest = math.prod(self._size), dict[int, int]()
        for seed in self._states[-1].values():
            if not seed.is_absent:
                largest[seed.object] = max(largest.get(seed.object, 0), seed.mask.area)
        return min(largest.values(), default=whole) / whole

    def is_absent(self, frame: int, identity: int) -> bool:
        """Tell if the user has said that an object is not to be seen on a frame."""
        seed = self.get(frame, identity)
        return seed is not None and seed.is_absent

    def absent_from(self, frame: int) -> dict[int, MaskArray]:
        """Return the objects that the user has said not to be on a frame, each with its empty mask, H x W bool."""
        return {seed.object: decode(seed.mask) for seed in self.current if seed.frame == frame and seed.is_absent}

    def check_frame(self, frame: int) -> int:
        """Return the number of a frame as Python's int; a UsageError if it does not exist or is not taken."""
        number = whole_number(frame)
        if number is None:
            raise UsageError(
                f"frame {frame} does not exist", why="frames are numbered from 0", fix="give a whole number"
            )
        place_of(number, self.info)
        return number

    def check_place(self, frame: int, identity: int | None) -> int:
        """Refuse a frame or an id that cannot be; return the id as Python's int, the next free one in place of None.

        Raises:
            UsageError: See above, or there would be more frames or objects than can be.
        """
        self.check_frame(frame)
        chosen = max({*self.objects, *self.births}, default=0) + 1 if identity is None else whole_number(identity)
        if chosen is None or not 1 <= chosen <= MAX_ID:
            raise UsageError(
                f"object {identity if chosen is None else chosen}",
                why=f"ids are 1 to {MAX_ID}: 0 is the background, 255 void",
                fix=f"give it a free one of these; what is more than {MAX_ID} objects takes another run",
            )
        given = {frame for frame, _ in self._keys}
        if frame not in given and len(given) >= MAX_GIVEN:
            raise UsageError(
                f"frame {frame} would be the {MAX_GIVEN + 1}th with a prompt",
                why=f"each stays in the memory; {MAX_GIVEN} is the bound",
                fix="remove prompts of other frames, or cut the clip",
            )
        return chosen

    def check_points(self, prompt: PointPrompt, *, followed: bool = False) -> int:
        """Refuse points and boxes that cannot be; return the object's id.

        Args:
            prompt: Of one object on one frame.
            followed: True if following has given a mask of the object on this frame.

        Raises:
            UsageError: See `covos.prompts.values.check_points` and `check_place`; a point was given before, or is
                another object's; or the points say only what the object is not, and there is no mask to take from. A
                point that says the contrary of an earlier one, on the object or off it, takes its place.
        """
        frame, identity = prompt.number, self.check_place(prompt.number, prompt.object)
        check_points(prompt, info=self.info)
        pointed = dict(self._pointed(frame))
        refuse_many_points(
            len(prompt.points) + sum(len(each.points) for key, each in pointed.items() if key != identity), frame=frame
        )
        for other, there in pointed.items():
            for before, point in _shared(there, prompt):
                if other != identity:
                    raise UsageError(
                        f"{point_name(point)} on frame {frame} cannot be given for object {identity}",
                        why=f"it was given for object {other} before, and a pixel belongs to one object",
                        fix="point beside it, or take the other point back",
                    )
                if before.positive == point.positive or self.get(frame, identity) is None:
                    raise UsageError(
                        f"{point_name(point)} on frame {frame} is one of object {identity} already",
                        why=f"it was given for object {other} before, and the mask was made with it",
                        fix="point at another place where the mask is wrong",
                    )
        has_mask = followed or self.get(frame, identity) is not None
        if prompt.negative_only and (not has_mask or self.is_absent(frame, identity)):
            raise UsageError(
                f"object {identity} has negative points only on frame {frame}",
                why="they take away from a mask, and there is none of it on this frame or an earlier one",
                fix="give a point on the object as well, or correct a frame after the first that shows it",
            )
        return identity

    def wait(self, prompt: PointPrompt) -> int:
        """Keep points and a box until a mask can be made of them; return the object's id.

        Raises:
            UsageError: See `check_points`. Following from earlier frames will give a mask to take from.
        """
        earlier = any(frame <= prompt.number and identity == prompt.object for frame, identity in self._keys)
        identity = self.check_points(prompt, followed=earlier)
        self._waiting[prompt.number, identity] = prompt.model_copy(update={"object": identity})
        return identity

    def done(self, frame: int, identity: int) -> None:
        """Forget a prompt that waited: a mask was made of it."""
        del self._waiting[frame, identity]

    def others_points(self, frame: int, identity: int) -> tuple[Point, ...]:
        """Return the places of other objects on a frame as negative points: a pixel belongs to one object."""
        return tuple(
            replace(point, positive=False)
            for other, prompt in self._pointed(frame)
            if other != identity
            for point in prompt.points
            if point.positive
        )

    def _pointed(self, frame: int) -> Iterator[tuple[int, PointPrompt]]:
        for seed in self.current:
            if seed.frame == frame and seed.pointed is not None:
                yield seed.object, seed.pointed.at
        for identity, prompt in self.waiting:
            if prompt.number == frame:
                yield identity, prompt

    def add(
        self,
        frame: int,
        masks: Mapping[int, MaskArray],
        *,
        given_as: str,
        replacing: bool = True,
        pointed: Pointed | None = None,
    ) -> None:
        """Show objects on a frame: one step, which `undo` takes back as a whole.

        If a mask covers a part of another object's on the same frame, the new one has the pixels.

        Args:
            frame: Its number.
            masks: Object id to H x W bool.
            given_as: See `SeedMask`.
            replacing: If false, an object that was shown on this frame is refused, unless it was so to begin with (see
                `begin`).
            pointed: The points and box that the mask came of.

        Raises:
            UsageError: A mask is empty, and was not given as absent or confirmed; it is of another size; an id is
                refused; an object would be covered wholly, or is there already and ``replacing`` is off.
        """
        after, begun = dict(self._states[-1]), self._begun[-1]
        frame = self.check_frame(frame)
        masks = {self.check_place(frame, identity): mask for identity, mask in masks.items()}
        for identity, mask in masks.items():
            self._check_mask(frame, identity, mask, absent=given_as in {ABSENT, CONFIRMED})
            if not replacing and (frame, identity) in after.keys() - begun:
                raise UsageError(
                    f"object {identity} is given twice on frame {frame}",
                    why=f"by {after[frame, identity].given_as} and by {given_as}",
                    # What goes on from a result may take corrections alone, and then no other object.
                    fix="leave one of the two out"
                    if self._births[0]
                    else f"give each its own id, as in FILE@{frame}:{max(self.objects) + 1}",
                )
        for identity in masks:  # all at once: one of them may cover what is replaced of another
            after.pop((frame, identity), None)
        for identity, mask in masks.items():
            for other in [key for key in after if key[0] == frame and key[1] != identity]:
                after[other] = after[other].without(mask, by=identity)
            after[frame, identity] = SeedMask(
                frame=frame, object=identity, mask=encode(mask), given_as=given_as, pointed=pointed
            )
        self._step(after, begun=begun - {(frame, identity) for identity in masks})

    def add_file(self, file: Path, *, frame: int, identity: int | None = None, resize: bool = False) -> tuple[int, ...]:
        """Show the objects of a mask file on a frame; see `covos.sessions.session.Session.add_file`."""
        self.check_place(frame, identity)
        own = None if self._own_size is None else partial(self._own_size, frame)
        masks, note = read_objects(file, size=self._size, resize=resize, own_size=own)
        named = self._add_named(frame, masks, identity, name=str(file), given_as=file.name, replacing=False)
        self._cut_notes |= dict.fromkeys([note] if note else [])
        return named

    def add_labels(
        self, frame: int, labels: np.ndarray[Any, Any], *, identity: int | None = None, resize: bool = False
    ) -> tuple[int, ...]:
        """Show the objects of a label map on a frame; see `covos.sessions.session.Session.add_labels`."""
        self.check_place(frame, None if not self.objects else self.objects[0])
        ids = check_labels(labels, frame=frame)
        masks = objects_in(self._fitted(ids, frame, what=f"the label map for frame {frame}", resize=resize))
        if not masks:
            raise UsageError(
                f"the label map for frame {frame} shows no object",
                why="every pixel is background",
                fix="show the objects on a frame where they are to be seen",
            )
        return self._add_named(frame, masks, identity, name="the label map", given_as="labels", replacing=True)

    def add_mask(self, frame: int, mask: np.ndarray[Any, Any], *, identity: int | None, resize: bool) -> int:
        """Show one object on a frame; see `covos.sessions.session.Session.add_mask`."""
        identity = self.check_place(frame, identity)
        what = f"the mask of object {identity} on frame {frame}"
        solid = check_mask(mask, what=what)
        fitted = self._fitted(solid.view(np.uint8), frame, what=what, resize=resize).astype(np.bool_)
        self.add(frame, {identity: fitted}, given_as="mask")
        return identity

    def add_absent(self, frame: int, identity: int) -> None:
        """Say that an object is not to be seen on a frame; see `covos.sessions.session.Session.add_absent`."""
        self.check_place(frame, identity)
        if identity not in {*self.objects, *self.births}:
            raise UsageError(
                f"object {identity} cannot be absent on frame {frame}",
                why="no mask of it is known on any frame",
                fix="show it first where it is to be seen",
            )
        self.add(frame, {identity: np.zeros(self._size, np.bool_)}, given_as=ABSENT)

    def add_alpha(self, frame: int, *, identity: int | None, alpha_of: Callable[[int], MaskArray]) -> int:
        """Show what is opaque in a frame, as ``alpha_of`` gives it; see `covos.sessions.session.Session.add_alpha`."""
        identity = self.check_place(frame, identity)
        self.add(frame, {identity: alpha_of(frame)}, given_as="alpha", replacing=False)
        return identity

    def _add_named(
        self,
        frame: int,
        masks: Mapping[int, MaskArray],
        identity: int | None,
        *,
        name: str,
        given_as: str,
        replacing: bool,
    ) -> tuple[int, ...]:
        if identity is not None and len(masks) > 1:
            raise UsageError(
                f"{name} cannot be object {identity}",
                why=f"it shows {len(masks)} objects: {', '.join(map(str, list(masks)[:8]))}",
                fix="leave the id out: the file's values are the ids",
            )
        if identity is not None:
            masks = dict.fromkeys([identity], *masks.values())
        named = {self.check_place(frame, None if own == NAMELESS else own): mask for own, mask in masks.items()}
        self.add(frame, named, given_as=given_as, replacing=replacing)
        if NAMELESS in masks:
            self._nameless |= dict.fromkeys(named, frame)
        return tuple(named)

    def remove(self, identity: int) -> None:
        """Forget an object; a UsageError if there is none of this id."""
        if identity not in self.objects:
            raise UsageError(
                f"there is no object {identity}",
                why=f"the objects are {', '.join(map(str, self.objects)) or 'none'}",
                fix="name one of these",
            )
        left = {key: seed for key, seed in self._states[-1].items() if key[1] != identity}
        self._step(left, begun=self._begun[-1] & left.keys())
        self._waiting = {key: prompt for key, prompt in self._waiting.items() if key[1] != identity}

    def undo(self) -> None:
        """Take the latest step back; a UsageError if there is none."""
        if len(self._states) == 1:
            raise UsageError("there is nothing to undo", why="no prompt was given", fix="give one")
        self._states.pop()
        self._births.pop()
        self._line.pop()
        self._begun.pop()

    def restore(self, seeds: Iterable[SeedMask]) -> None:
        """Take seeds of the same video that were kept, in place of those that are there: one step.

        Raises:
            UsageError: A frame or an id cannot be, or a mask is of another size.
        """
        kept = {(seed.frame, seed.object): seed for seed in seeds}
        for seed in kept.values():
            self.check_place(seed.frame, seed.object)
            self._check_mask(seed.frame, seed.object, decode(seed.mask), absent=True)
        self._step(kept, begun=frozenset())

    def begin(self, seeds: Iterable[SeedMask]) -> None:
        """Take seeds as `restore` does, as those that there are to begin with: they cannot be undone.

        A mask of one of their objects on their frame, also one from a file, takes the place of theirs.
        """
        self.restore(seeds)
        self._states, self._births, self._line = self._states[-1:], self._births[-1:], self._line[-1:]
        self._begun = [frozenset(self._states[-1])]

    def know(self, identities: Iterable[int]) -> None:
        """Take objects as there, whose masks were found elsewhere: a seed of one of them shows the same object."""
        known = {identity: self.births.get(identity, 0) for identity in identities}
        self._births = [{**known, **births} for births in self._births]

    def _step(self, after: dict[Key, SeedMask], *, begun: frozenset[Key]) -> None:
        self._steps += 1
        self._begun.append(begun)
        self._line.append(self._steps)
        elsewhere = self.births.keys() - {identity for _, identity in self._states[-1]}
        self._states.append(after)
        there = {*elsewhere, *(identity for _, identity in after)}
        self._births.append({identity: self.births.get(identity, self._steps) for identity in there})

    def given(self) -> dict[int, Mapping[int, MaskArray]]:
        """Return the seeds for an engine: frame position to object id to mask, decoded when it is asked for."""
        by_frame: dict[int, dict[int, RLE]] = {}
        for seed in to_follow(self.current):
            by_frame.setdefault(place_of(seed.frame, self.info), {})[seed.object] = seed.mask
        return {frame: DecodedMasks(masks) for frame, masks in by_frame.items()}

    def fingerprints(self) -> dict[int, tuple[tuple[int, str], ...]]:
        """Return for each seed frame its objects and the hashes of their masks, in the order of the memory."""
        found: dict[int, tuple[tuple[int, str], ...]] = {}
        for seed in to_follow(self.current):
            place = place_of(seed.frame, self.info)
            found[place] = (*found.get(place, ()), (seed.object, seed.sha256))
        return found

    def describe(self) -> list[dict[str, Any]]:
        """Return what the report says of each seed."""
        return [seed.describe() for seed in self.current]

    @property
    def _size(self) -> tuple[int, int]:
        return self.info.height, self.info.width

    def _fitted(self, array: NDArray[np.uint8], frame: int, *, what: str, resize: bool) -> NDArray[np.uint8]:
        """Return an H x W array at the size of the source, as a mask of this frame.

        It may have the frame's own size; any other one is refused, unless ``resize`` is set.
        """
        if array.shape == self._size or array.ndim != 2 or not array.size:
            return array
        if resize or (self._own_size is not None and self._own_size(frame) == array.shape):
            return cv2.resize(array, self._size[::-1], interpolation=cv2.INTER_NEAREST_EXACT).astype(np.uint8)
        raise _other_size(what, array, self._size)

    def _check_mask(self, frame: int, identity: int, mask: MaskArray, *, absent: bool) -> None:
        if mask.shape != self._size:
            raise _other_size(f"the mask of object {identity} on frame {frame}", mask, self._size)
        if not absent and not mask.any():
            raise UsageError(
                f"the mask of object {identity} on frame {frame} is empty",
                why="there is nothing in it to follow",
                fix="show the object on a frame where it is to be seen; where it is not, Session.add_absent says so",
            )


def _other_size(what: str, array: np.ndarray[Any, Any], size: tuple[int, int]) -> UsageError:
    return UsageError(
        f"{what} does not have the frame's size",
        why=f"it is {' x '.join(map(str, array.shape))} (height x width), the frame {size[0]} x {size[1]}",
        fix="give it at that size, or let it be resized: " + Words("--resize-masks", python="resize=True"),
    )


def _shared(one: PointPrompt, other: PointPrompt) -> list[tuple[Point, Point]]:
    """Return the points of two prompts that lie in one pixel."""
    places = {point.pixel: point for point in one.points}
    return [(places[point.pixel], point) for point in other.points if point.pixel in places]
