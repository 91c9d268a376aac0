"""Skip pictures that vanish or are damaged while a training goes on: another is drawn in their place.

The replacement depends on the seed and the step alone, as everything that is drawn does. A run stops only when the
unreadable files are many: then it is the disk, not a file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from covos.core.errors import AnnotationError, InputError, SourceError, listed

IN_A_ROW = 20
"""So many draws that fail one after the other stop the run at once."""
LEAST_FILES = 10
"""Fewer unreadable files never stop a run."""
MOST_SHARE = 0.01
"""A larger share of draws that failed stops a run."""
_FIX = "see that the disk is there; `covos data inspect ROOT` lists every file that cannot be read"

Drawn = TypeVar("Drawn")


class Unreadable(NamedTuple):
    """A file that could not be read, as the error says it."""

    what: str
    why: str


class Skips:
    """Draws again when a file cannot be read, and notes it; each source of batches has one."""

    def __init__(self) -> None:
        self._drawn = 0
        self._found: list[Unreadable] = []

    def draw(self, make: Callable[[int], Drawn]) -> Drawn:
        """Return what ``make`` returns for the first attempt, counted from 0, at which every file can be read.

        Raises:
            InputError: `IN_A_ROW` attempts met files that cannot be read.
        """
        for attempt in range(IN_A_ROW):
            self._drawn += 1
            try:
                return make(attempt)
            except (SourceError, AnnotationError) as error:
                self._found.append(Unreadable(error.what, error.why))
        last = self._found[-1]
        raise InputError(
            f"{IN_A_ROW} draws in a row met files that cannot be read", why=f"such as {last.what}: {last.why}", fix=_FIX
        )

    def take(self) -> tuple[int, tuple[Unreadable, ...]]:
        """Return the number of attempts since the last call, and the files that some of them met."""
        taken = self._drawn, tuple(self._found)
        self._drawn = 0
        self._found.clear()
        return taken


@dataclass(slots=True)
class SkipCount:
    """Counts what a run skipped; a checkpoint keeps it.

    Attributes:
        drawn: Number of draws so far, those that failed among them.
        failed: Number of draws that met a file that cannot be read.
        files: Each such file, as its error says it, with the reason.
    """

    drawn: int = 0
    failed: int = 0
    files: dict[str, str] = field(default_factory=dict)

    def add(self, drawn: int, found: tuple[Unreadable, ...]) -> tuple[Unreadable, ...]:
        """Count the draws of a step; return the files that were not met before."""
        self.drawn += drawn
        self.failed += len(found)
        new = {each.what: each for each in found if each.what not in self.files}
        self.files |= {each.what: each.why for each in new.values()}
        return tuple(new.values())

    def refuse_many(self) -> None:
        """Stop if the unreadable files are many.

        Raises:
            InputError: They are `LEAST_FILES` or more, in over `MOST_SHARE` of the draws.
        """
        if len(self.files) >= LEAST_FILES and self.failed > MOST_SHARE * self.drawn:
            raise InputError(
                f"{len(self.files)} files of the training data cannot be read",
                why=f"{self.failed:,} of {self.drawn:,} draws met one: {listed(self.files)}",
                fix=_FIX,
            )
