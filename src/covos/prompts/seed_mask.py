"""One seed: the mask of an object on a frame, and the points and the box that it came of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from covos.core.errors import UsageError
from covos.core.types import MaskArray
from covos.masks import RLE, decode, encode
from covos.masks.rims import left_of
from covos.prompts.values import PointPrompt

MAX_ID = 254
"""The highest id of an object: 0 is the background, 255 void."""

ABSENT = "absent"
"""Origin of a seed that says that the object is not to be seen."""

CONFIRMED = "confirmed"
"""Origin of a seed that the user takes as right: its mask was found, or the object is not to be seen."""

Key = tuple[int, int]
"""Number of the frame and object id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointed:
    """The points and the box that a mask came of.

    Attributes:
        at: All points and the box, for this object on this frame.
        prompter: Name of the prompter that made the mask.
        corrects: The mask that was there before: ``"followed"``, or the hash of a given one; empty if there was none.
    """

    at: PointPrompt
    prompter: str
    corrects: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedMask:
    """The mask of one object on one seed frame.

    Attributes:
        frame: Its number in the whole source.
        object: Id.
        mask: At the frame's size; empty says that the object is not to be seen there.
        given_as: Its origin in words: ``"mask"``, ``"alpha"``, ``"points"``, ``"box"``, ``"confirmed"``, ``"absent"``,
            or the name of a file.
        pointed: The points and box that it came of; None of a mask that was given.
    """

    frame: int
    object: int
    mask: RLE
    given_as: str
    pointed: Pointed | None = None

    @property
    def is_absent(self) -> bool:
        """It says that the object is not to be seen."""
        return not self.mask.area

    @property
    def sha256(self) -> str:
        """The hash by which a report knows the mask."""
        return hashlib.sha256(self.mask.counts.tobytes()).hexdigest()

    def describe(self) -> dict[str, Any]:
        """Return what the report says: the hash of the mask, or the points and the box."""
        said: dict[str, Any] = {"frame": self.frame, "object": self.object, "given_as": self.given_as}
        if self.pointed is None:
            return {**said, "sha256": self.sha256}
        # Not by the mask's hash: a run of the same points goes on where it was stopped, on whatever machine.
        said |= {**self.pointed.at.describe(), "prompter": self.pointed.prompter}
        return {**said, "corrects": self.pointed.corrects} if self.pointed.corrects else said

    def at_frame(self, frame: int) -> SeedMask:
        """Return it under another number of its frame: a session and the server count frames in their own ways."""
        pointed = self.pointed
        if pointed is not None:
            pointed = replace(pointed, at=pointed.at.model_copy(update={"frame": frame}))
        return replace(self, frame=frame, pointed=pointed)

    def without(self, mask: MaskArray, *, by: int) -> SeedMask:
        """Return it without the pixels that now belong to another object; a UsageError if nothing is left.

        Slivers along the other object go with them, unless they are all that is left.
        """
        own = decode(self.mask)
        if not (own & mask).any():
            return self
        rest = own & ~mask
        if not rest.any():
            raise UsageError(
                f"object {by} covers all of object {self.object} on frame {self.frame}",
                why="a pixel belongs to one object",
                fix="give the mask of the one in front last, without the other's pixels",
            )
        left = left_of(own, mask)
        return replace(self, mask=encode(left if left.any() else rest))


def to_follow(seeds: Iterable[SeedMask]) -> tuple[SeedMask, ...]:
    """Return the seeds of the objects that one of them shows: by where an object is not, nothing can be followed."""
    seeds = tuple(seeds)
    shown = {seed.object for seed in seeds if not seed.is_absent}
    return tuple(seed for seed in seeds if seed.object in shown)


def confirmed_frames(seeds: Iterable[SeedMask]) -> frozenset[int]:
    """Return the frames that the user takes as right: those with seeds of which each was confirmed.

    A correction on a frame that was confirmed takes this away, for it says that the frame was not right.
    """
    confirmed: set[int] = set()
    others: set[int] = set()
    for seed in seeds:
        (confirmed if seed.given_as == CONFIRMED else others).add(seed.frame)
    return frozenset(confirmed - others)


def corrected_between(then: Iterable[SeedMask], now: Iterable[SeedMask]) -> dict[int, set[int]]:
    """Return, by frame, the objects with a seed there of which one came, went or changed between two states.

    A seed that has gone since counts as well.
    """
    hashes = [{(seed.frame, seed.object): seed.sha256 for seed in state} for state in (then, now)]
    keys = {*hashes[0], *hashes[1]}
    corrected = {key[1] for key in keys if hashes[0].get(key) != hashes[1].get(key)}
    found: dict[int, set[int]] = {}
    for frame, identity in keys:
        if identity in corrected:
            found.setdefault(frame, set()).add(identity)
    return found
