"""Edits of a clip: prompts, tracks and changes of objects, one after another, each of which can be undone.

The masks of a clip are those that were found, and what the edits put in their places. An edit is kept as it came out,
not as it was asked for: to go back or forth, or to start the server again, computes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from covos.core.errors import UsageError
from covos.core.labelling import NAMELESS
from covos.core.types import MaskArray
from covos.engines.choices import SUBJECT
from covos.masks import decode
from covos.masks.edges import NO_EDGES, Edges
from covos.masks.frame_mask import FrameMask
from covos.prompts.seed_mask import CONFIRMED, SeedMask, confirmed_frames
from covos.prompts.values import RegionPrompt
from covos.serve.frame_edits import slivers, with_only
from covos.serve.schema import COLOURS, Thing

Frames = Mapping[int, FrameMask]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """State that an edit left: the seeds, the objects, the regions, the edges, and the frames that it changed.

    Attributes:
        kind: In a word, for the page: ``"prompt"``, ``"removal"`` of one, ``"track"``, ``"confirm"``, ``"object"``,
            ``"region"``, ``"edges"``; or ``"opened"``, the state that a finished run left.
        seeds: All seeds after it.
        things: All objects after it.
        regions: All regions that the subject may not lie in, or has to, after it.
        edges: Changes of the edges after it.
        frames: Masks of the frames that it changed, by index.
        followed: The revision whose seeds a track has followed; None of any other edit, and of tracks from before that
            was kept, which followed those of the edit before.
        object: Number of the object that a prompt showed, or one that was removed; None of any other edit.
    """

    kind: str
    seeds: tuple[SeedMask, ...]
    things: tuple[Thing, ...]
    regions: tuple[RegionPrompt, ...] = ()
    edges: Edges = NO_EDGES
    frames: Frames
    followed: int | None = None
    object: int | None = None


class History:
    """The masks of a clip as the edits left them, with all that was before and, after an undo, what comes next.

    Attributes:
        frames: Masks of now, by index; what the regions take away is still in them (see `in_regions`).
        seeds: Masks that the user gave or confirmed, or that were made of points.
        things: The objects.
        regions: The regions that the subject may not lie in, or has to.
        edges: Changes of the edges.
    """

    def __init__(self) -> None:
        self.frames: dict[int, FrameMask] = {}
        self.seeds: tuple[SeedMask, ...] = ()
        self.things: tuple[Thing, ...] = ()
        self.regions: tuple[RegionPrompt, ...] = ()
        self.edges = NO_EDGES
        self._found: dict[int, FrameMask] = {}
        self._done: list[Edit] = []
        self._before: list[tuple[Edit, dict[int, FrameMask | None]]] = []
        self._undone: list[Edit] = []

    @property
    def revision(self) -> int:
        """Number of edits that are in force."""
        return len(self._done)

    @property
    def undoes(self) -> str | None:
        """Kind of the edit that would be undone next; None if there is none."""
        return self._done[-1].kind if self._done else None

    @property
    def redoes(self) -> str | None:
        """Kind of the edit that would be done again next; None if none was undone, or one was made since."""
        return self._undone[-1].kind if self._undone else None

    def changed_since(self, revision: int) -> set[int]:
        """Return the frames that edits after a revision have changed."""
        return {index for edit in self._done[revision:] for index in edit.frames}

    def seeds_at(self, revision: int) -> tuple[SeedMask, ...]:
        """Return the seeds after so many edits."""
        if revision:
            return self._done[revision - 1].seeds
        return self._before[0][0].seeds if self._before else self.seeds

    def story(self, frame: int) -> Iterator[tuple[Edit, Edit, FrameMask | None]]:
        """Give the edits, the latest first, each with the state before it and the masks that a frame had then.

        The masks are None if the edit has not changed the frame, or there were none.
        """
        for edit, (before, masks) in zip(reversed(self._done), reversed(self._before), strict=True):
            had = masks.get(frame) or self._found.get(frame)
            yield edit, before, had if frame in edit.frames else None

    def corrected(self) -> dict[int, set[int]]:
        """Return, by frame, the objects that prompts have shown there since a track last went on from the frame.

        An object whose prompts were all removed again is not among them.
        """
        fresh: dict[int, set[int]] = {}
        for edit in self._done:
            for index in edit.frames:
                shown = fresh.get(index, set())
                if edit.kind == "track":
                    if self._goes_on(index, edit):
                        fresh.pop(index, None)
                elif edit.object in shown and (index, edit.object) not in {
                    (one.frame, one.object) for one in edit.seeds
                }:
                    shown.discard(edit.object)
                elif edit.object is not None:
                    fresh.setdefault(index, set()).add(edit.object)
        return fresh

    def has_followed(self, track: Edit) -> bool:
        """Tell if a track has gone on from the frames that the user has shown: one may be stopped before."""
        shown = {seed.frame for seed in track.seeds}
        return any(index not in shown or self._goes_on(index, track) for index in track.frames)

    def _goes_on(self, index: int, track: Edit) -> bool:
        """Tell if a track has gone on from a frame to one beside it; true as well if it could not go to any."""
        beside = ({index - 1, index + 1} & self.frames.keys()) - confirmed_frames(track.seeds)
        return not beside or not beside.isdisjoint(track.frames)

    @property
    def objects_found(self) -> frozenset[int]:
        """Numbers of the objects that were there before all edits."""
        things = self._before[0][0].things if self._before else self.things
        return frozenset(thing.id for thing in things)

    def followed_at(self) -> dict[int, int]:
        """Return for each frame the revision whose seeds the last track of it has followed; 0 if there was none."""
        revisions = dict.fromkeys(self.frames, 0)
        for number, edit in enumerate(self._done):
            if edit.kind == "track":
                revisions |= dict.fromkeys(edit.frames, _followed(edit, number))
        return revisions

    def answered_at(self, revision: int) -> dict[int, FrameMask]:
        """Return the masks as they were after so many edits, and the tracks of the seeds of then."""
        masks, settled = dict(self.frames), set[int]()
        for number in reversed(range(revision, len(self._done))):
            edit, before = self._done[number], self._before[number][1]
            if edit.kind == "track" and _followed(edit, number) <= revision:
                settled.update(edit.frames)
                continue
            for index in edit.frames.keys() - settled:
                masks[index] = before[index] or self._found.get(index, masks[index])
        return masks

    def before_prompts(self, frame: int, number: int) -> tuple[FrameMask | None, tuple[SeedMask, ...]]:
        """Return a frame's masks, and the seeds, as they were before the prompts of an object that go on there.

        They go on while nothing else changes the frame. The object itself is as it is now: only pixels that it took
        from the others are theirs again. Without such prompts all is as it is now.
        """
        now, others = self.frames.get(frame), self.seeds
        for edit, (before, masks) in zip(reversed(self._done), reversed(self._before), strict=True):
            if frame not in edit.frames:
                continue
            if edit.object != number:
                break
            now, others = masks[frame] or self._found.get(frame, now), before.seeds
        taken = {seed.object: seed for seed in others if seed.frame == frame and seed.object != number}
        seeds = (taken.get(seed.object, seed) if seed.frame == frame else seed for seed in self.seeds)
        return now, tuple(seeds)

    def before_confirmed(self, frame: int) -> tuple[FrameMask | None, tuple[SeedMask, ...]]:
        """Return a frame's masks, and what the user had shown on it, as they were before it was confirmed.

        The masks are None if another edit has changed the frame since: it keeps those of now, and what was shown has
        them as well.
        """
        there, changed = {thing.id for thing in self.things}, False
        for edit, before, had in self.story(frame):
            if frame not in edit.frames:
                continue
            if edit.kind != "confirm":
                changed = True
            elif frame not in confirmed_frames(before.seeds):
                shown = [seed for seed in before.seeds if seed.frame == frame and seed.given_as != CONFIRMED]
                if had is not None and not changed:
                    return with_only(had, there), tuple(seed for seed in shown if seed.object in there)
                now = {seed.object: seed for seed in self.seeds if seed.frame == frame}
                return None, tuple(replace(seed, mask=now[seed.object].mask) for seed in shown if seed.object in now)
        return None, ()

    def taken_by(self, number: int) -> dict[int, tuple[FrameMask, MaskArray]]:
        """Return, for the frames that an object came to, the masks from before it, and all pixels that it ever had."""
        taken: dict[int, tuple[FrameMask, MaskArray]] = {}
        for edit, (_, masks) in zip(self._done, self._before, strict=True):
            for index, after in edit.frames.items():
                if number not in after.objects:
                    taken.pop(index, None)
                    continue
                before = masks[index] or self._found.get(index)
                own = decode(after.objects[number])
                if before is not None and number not in before.objects:
                    own |= slivers(before, own)
                if index in taken:
                    taken[index] = taken[index][0], taken[index][1] | own
                elif before is not None and number not in before.objects:
                    taken[index] = before, own
        return taken

    def begin(self, opened: Edit) -> None:
        """Take a state that edits begin from: it cannot be undone."""
        self._take(opened)
        for frame in opened.frames.values():
            self.find(frame)

    def find(self, frame: FrameMask) -> None:
        """Take the masks of a frame as they were found; those of an edit stay."""
        self._found[frame.index] = frame
        if not any(frame.index in edit.frames for edit in self._done):
            self.frames[frame.index] = frame
        if not self.things:
            self.things = (thing_of(SUBJECT),)

    def edit(
        self,
        kind: str,
        *,
        seeds: tuple[SeedMask, ...] | None = None,
        things: tuple[Thing, ...] | None = None,
        regions: tuple[RegionPrompt, ...] | None = None,
        edges: Edges | None = None,
        frames: Frames | None = None,
        followed: int | None = None,
        shown: int | None = None,
    ) -> Edit:
        """Return an edit of what is there now; what is not given stays. ``shown`` is the object of a prompt."""
        return Edit(
            kind=kind,
            seeds=self.seeds if seeds is None else seeds,
            things=self.things if things is None else things,
            regions=self.regions if regions is None else regions,
            edges=self.edges if edges is None else edges,
            frames={} if frames is None else frames,
            followed=followed,
            object=shown,
        )

    def add(self, edit: Edit) -> None:
        """Apply an edit; what was undone is forgotten."""
        self._undone.clear()
        self._apply(edit)

    def undo(self) -> tuple[int, ...]:
        """Take the latest edit back; return the frames that change.

        Raises:
            UsageError: There is none.
        """
        if not self._done:
            raise UsageError("there is nothing to undo", why="no edit was made", fix="make one")
        edit = self._done.pop()
        now, before = self._before.pop()
        self._take(now)
        for index, mask in before.items():
            # The masks that were found may have come after the edit.
            if (mask := mask or self._found.get(index)) is None:
                del self.frames[index]
            else:
                self.frames[index] = mask
        self._undone.append(edit)
        return tuple(before)

    def redo(self) -> tuple[int, ...]:
        """Apply the edit that was undone latest; return the frames that change.

        Raises:
            UsageError: There is none.
        """
        if not self._undone:
            raise UsageError("there is nothing to do again", why="no edit was undone", fix="undo one first")
        edit = self._undone.pop()
        self._apply(edit)
        return tuple(edit.frames)

    def _apply(self, edit: Edit) -> None:
        before = {index: self.frames.get(index) for index in edit.frames}
        self._before.append((self.edit("before"), before))
        self._done.append(edit)
        self._take(edit)
        self.frames.update(edit.frames)

    def _take(self, edit: Edit) -> None:
        self.seeds, self.things, self.regions, self.edges = edit.seeds, edit.things, edit.regions, edit.edges


def _followed(track: Edit, number: int) -> int:
    return number if track.followed is None else track.followed


def thing_of(number: int, *, name: str = "") -> Thing:
    """Return an object with the name and the colour of its number."""
    return Thing(id=number, name=name or f"{NAMELESS} {number}", color=COLOURS[(number - 1) % len(COLOURS)])


def is_named(thing: Thing) -> bool:
    """Tell if the user gave an object its name: annotations then call it so."""
    return thing.name != thing_of(thing.id).name


def with_new_seeds(
    now: tuple[SeedMask, ...], *, before: tuple[SeedMask, ...], after: tuple[SeedMask, ...]
) -> tuple[SeedMask, ...]:
    """Put into the seeds of now what a prompt has made of those of before: other edits may have come in between."""
    fresh = {(seed.frame, seed.object): seed for seed in after if seed not in before}
    gone = {(seed.frame, seed.object) for seed in before} - {(seed.frame, seed.object) for seed in after}
    kept = (seed for seed in now if (seed.frame, seed.object) not in fresh.keys() | gone)
    return tuple(sorted((*kept, *fresh.values()), key=lambda seed: seed.frame))


def with_own_seeds(
    seeds: tuple[SeedMask, ...], own: tuple[SeedMask, ...], *, frame: int, number: int
) -> tuple[SeedMask, ...]:
    """Put an object's seed of a frame, or none, in place of the one that it has there; its pixels are its own.

    Raises:
        UsageError: It covers all of another object.
    """
    rest = [seed for seed in seeds if (seed.frame, seed.object) != (frame, number)]
    for mask in [decode(seed.mask) for seed in own]:
        rest = [seed.without(mask, by=number) if seed.frame == frame else seed for seed in rest]
    return tuple(sorted((*rest, *own), key=lambda seed: seed.frame))


def with_pixels_back(
    seeds: tuple[SeedMask, ...], frames: Mapping[int, FrameMask], *, before: Mapping[int, FrameMask]
) -> tuple[SeedMask, ...]:
    """Give seeds the masks that their objects have in frames now, where they were those that the frames had before."""
    return tuple(
        replace(seed, mask=frames[seed.frame].objects[seed.object])
        if seed.frame in frames
        and seed.object in frames[seed.frame].objects
        and before[seed.frame].objects.get(seed.object) == seed.mask
        else seed
        for seed in seeds
    )
