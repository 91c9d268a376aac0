"""Two prompters in turn: what the classical one makes of the first click, the network goes on from."""

from __future__ import annotations

from collections.abc import Sequence

from covos.engines.motion import Observed
from covos.engines.prompter import Prompter
from covos.types import Box, MaskArray, Point


class RelayPrompter:
    """A `covos.engines.prompter.Prompter` of two.

    One click says little, and GrabCut begins from the subject that covos-lite sees there; further clicks say what a
    network reads better. Measured by ``benchmarks/clicks.py``.

    Args:
        first: Answers where there is no mask yet.
        then: Corrects that answer, and whatever mask there is later, by the points. A box alone has none to go by.
    """

    def __init__(self, first: Prompter, then: Prompter) -> None:
        self.first = first
        self.then = then

    @property
    def name(self) -> str:
        """For reports."""
        return f"{self.first.name}+{self.then.name}"

    def mask(
        self, observed: Observed, *, points: Sequence[Point], box: Box | None, previous: MaskArray | None
    ) -> MaskArray:
        """See `covos.engines.prompter.Prompter.mask`."""
        if previous is None:
            previous = self.first.mask(observed, points=points, box=box, previous=None)
        return self.then.mask(observed, points=points, box=box, previous=previous) if points else previous
