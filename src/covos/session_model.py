"""The part of a model that a session needs; whoever opens the session gives it one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from covos.engines.find import FindEngine
from covos.engines.follow import FollowEngine
from covos.prompts.masker import ChosenPrompter

if TYPE_CHECKING:
    from covos.runs.report import Origin


class SessionModel(Protocol):
    """The part of `covos.model.Model` that a session uses."""

    @property
    def name(self) -> str:
        """Name of the model."""
        ...

    @property
    def engine(self) -> FindEngine[Any]:
        """The engine that finds, with its encoder."""
        ...

    def follower(self, name: str) -> FollowEngine:
        """Return the engine that follows."""
        ...

    def describe_follower(self, name: str) -> dict[str, str]:
        """Return what a report says of a follower."""
        ...

    def prompter(self, name: str) -> ChosenPrompter:
        """Return the maker of masks of points and boxes."""
        ...

    def origin(self, **settings: object) -> Origin:
        """Return what a report says of the results."""
        ...
