"""Objects that are found, then followed: what ``objects="auto"`` needs beside a source and a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from covos.api.model import Model
from covos.api.output import Origin
from covos.core.errors import UsageError
from covos.engines.discover import DEFAULT_MOST, MAX_MOST
from covos.engines.find import DEFAULT_REFERENCES, check_references
from covos.engines.memory import DEFAULT_MEMORY
from covos.media.source import Source
from covos.models.registry import DEFAULT_FOLLOWER, find_follower

if TYPE_CHECKING:
    from covos.api.session import Session

Objects: TypeAlias = int | Literal["auto"]
"""1 is one subject, taken as a whole; ``"auto"`` tells its parts and further things apart, each under an id, and a
number above 1 does so with at most so many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovering:
    """How to find the objects of a source and follow them.

    Attributes:
        most: Objects, at most.
        references: Frames, spread over the video, that every looked-at frame is compared with.
        memory: See `covos.api.session.Session`.
        follower: See `covos.api.session.Session`.
    """

    most: int = DEFAULT_MOST
    references: int = DEFAULT_REFERENCES
    memory: int = DEFAULT_MEMORY
    follower: str | Path = DEFAULT_FOLLOWER

    def open(self, source: Source, *, load: Callable[[], Model]) -> Session:
        """A session without prompts: `Session.discover` finds them; the model is not loaded yet.

        Raises:
            UsageError: A value makes no sense.
        """
        from covos.api.session import Session

        check_references(self.references)
        return Session(source, load=load, follower=self.follower, memory=self.memory)

    def origin(self, model: Model) -> Origin:
        """What a report says of the results."""
        follower = find_follower(self.follower, encoder=model.entry)
        return model.origin(
            objects=self.most,
            references=self.references,
            follower={"name": follower.name, "sha256": follower.card.sha256},
            direction="both",
            memory=self.memory,
        )


def check_objects(objects: int | str) -> int | None:
    """How many objects may be found; None where it is one subject.

    Raises:
        UsageError: It is no number of objects.
    """
    if objects == "auto":
        return DEFAULT_MOST
    if isinstance(objects, str) or not 1 <= objects <= MAX_MOST:
        raise UsageError(
            f"objects = {objects}",
            why="it is how many objects may be found",
            fix=f"use 1 for one subject, auto for up to {DEFAULT_MOST} objects, or 2 to {MAX_MOST}",
        )
    return None if objects == 1 else objects
