"""The steps that a computation takes when the memory runs out: what reports and events say of it."""

from __future__ import annotations

from typing import Literal

from covos.core.progress import counted
from covos.core.records import Count, Record

Together = Literal["frames", "objects", "tiles"]
"""The amount that a network computes together."""
StepKind = Literal["again", "frames", "objects", "tiles", "processor"]
"""The thing that a step gives up: nothing, frames, objects or tiles together, the GPU."""


class LadderStep(Record):
    """A step down.

    Attributes:
        kind: See `StepKind`.
        together: Frames, objects or tiles that are computed together from here on; None for other kinds.
        why: The refusal, in the words of the machine.
    """

    kind: StepKind
    together: Count | None = None
    why: str

    @property
    def text(self) -> str:
        """The step in plain words."""
        if self.kind == "again":
            now = "tried once more"
        elif self.kind == "processor":
            now = "computed on the processor from here on, which is slower"
        else:
            now = f"{counted(self.together or 0, self.kind.removesuffix('s'))} at a time from here on"
        return f"the memory ran out ({self.why}): {now}"
