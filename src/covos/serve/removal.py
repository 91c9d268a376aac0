"""A prompt that is taken back: what is left of the others, and the state of the frame from which they go on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from covos.core.errors import UsageError
from covos.core.types import MaskArray
from covos.masks import decode, encode
from covos.masks.frame_mask import FrameMask
from covos.prompts.seed_mask import SeedMask
from covos.serve.frame_edits import apart, placed
from covos.serve.prompt_steps import Said, Stage, Told, beside, got_since


@dataclass(frozen=True, kw_only=True)
class Removal:
    """The rest of an object's prompts on a frame.

    Attributes:
        number: The object.
        now: The frame's masks.
        whole: The same, but what the prompts here took before is the others' again.
        told: Everything that was said of the object there.
        left: The prompts that are left.
        stage: The state from which these go on.
        name: The frame in words.
    """

    number: int
    now: FrameMask
    whole: FrameMask
    told: Told
    left: tuple[Said, ...]
    stage: Stage
    name: str

    @property
    def rest(self) -> tuple[Said, ...]:
        """The prompts that are to be given again; none if the state of an earlier time is all that was said."""
        return self.left[len(self.stage.steps) :]

    @property
    def kept(self) -> tuple[SeedMask, ...]:
        """The object's seed of that state, without what other objects have got since; none if nothing remains."""
        seed = self.stage.seed
        if seed is None:
            return ()
        start = replace(seed, mask=apart(seed.mask, self.now, self.number))
        return (start,) if seed.is_absent or not start.is_absent else ()

    @cached_property
    def _theirs(self) -> MaskArray:
        return got_since(self.now, self.told, left=self.left, number=self.number)

    def start(self) -> tuple[FrameMask, tuple[Said, ...]]:
        """Return the masks of the frame before the rest is given again, and the rest, without what others have got."""
        nothing = encode(np.zeros(self.whole.size, np.bool_))
        own = apart(self.stage.masks.objects.get(self.number, nothing), self.now, self.number)
        return placed(self.whole, {self.number: own}), tuple(beside(each, self._theirs) for each in self.rest)

    def cut(self, made: SeedMask) -> SeedMask:
        """Return the seed that was made of the rest, without what other objects have got.

        Raises:
            UsageError: Nothing is left of it.
        """
        cut = replace(made, mask=encode(decode(made.mask) & ~self._theirs))
        if cut.is_absent and not made.is_absent:
            raise UsageError(
                f"nothing is left of object {self.number} on {self.name}",
                why="other objects have got all that the other prompts show",
                fix="take its other prompts back as well, or say that it is not in this frame",
            )
        return cut
