"""One object on one frame, as the user showed it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

from covos.api.pointing import Pointing
from covos.core.errors import UsageError
from covos.core.types import MaskArray
from covos.masks import RLE, decode, encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointed:
    """How a mask came of points and a box.

    Attributes:
        at: All that was pointed at, for this object on this frame.
        prompter: Who made the mask of it: `covos.engines.prompt.Prompter.name`.
        corrects: The mask that was there before: ``"followed"``, or the hash of a given one; empty if there was none.
    """

    at: Pointing
    prompter: str
    corrects: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskPrompt:
    """One object on one frame.

    Attributes:
        frame: Index.
        object: Id.
        mask: At the frame's size.
        given_as: In words: ``"mask"``, ``"points"``, ``"box"``, ``"confirmed"``, or a file's name.
        pointed: Of a mask that was made of points or a box.
    """

    frame: int
    object: int
    mask: RLE
    given_as: str
    pointed: Pointed | None = None

    @property
    def sha256(self) -> str:
        """By which a report knows the mask."""
        return hashlib.sha256(self.mask.counts.tobytes()).hexdigest()

    def describe(self) -> dict[str, Any]:
        """For the report: by the hash of the mask, or by what was pointed at."""
        said: dict[str, Any] = {"frame": self.frame, "object": self.object, "given_as": self.given_as}
        if self.pointed is None:
            return {**said, "sha256": self.sha256}
        # Not by the mask's hash: a run of the same points goes on where it was stopped, on whatever machine.
        said |= {**self.pointed.at.describe(), "prompter": self.pointed.prompter}
        return {**said, "corrects": self.pointed.corrects} if self.pointed.corrects else said

    def without(self, mask: MaskArray, *, by: int) -> MaskPrompt:
        """Give the pixels of another object to it.

        Raises:
            UsageError: Nothing is left.
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
        return replace(self, mask=encode(rest))
