"""Names that a running program or an installed package adds to those of covos: networks, kinds of training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

from covos.core.errors import EnvironmentProblem, UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Extensions:
    """One kind of thing that can be added by name.

    Attributes:
        what: One of them, in words: ``"the network"``.
        several: Many of them: ``"networks"``.
        group: Group of the entry points by which an installed package brings them.
    """

    what: str
    several: str
    group: str

    def refuse_taken(self, name: str, known: object, added: Callable[..., Any]) -> None:
        """Refuse a name that something else has; ``known`` is what has it, None if nothing does.

        The same thing may be added again: a notebook runs a cell twice, and a module is imported under two names.
        """
        if known is not None and getattr(known, "__qualname__", None) != added.__qualname__:
            raise UsageError(
                f"there is {self.what.replace('the ', 'a ', 1)} called {name!r} already",
                why=f"names of {self.several} are unique; {added.__qualname__} needs one of its own",
                fix="choose another name",
            )

    def bring(self, name: str, register: Callable[[str], Callable[[Any], Any]]) -> None:
        """Register what an installed package brings under a name, if one does.

        Raises:
            EnvironmentProblem: It cannot be loaded.
        """
        for point in entry_points(group=self.group, name=name):
            try:
                register(name)(point.load())
            except Exception as error:
                raise EnvironmentProblem(
                    f"{self.what} {name!r} cannot be loaded",
                    why=f"{point.value}, an entry point of the group {self.group}: {type(error).__name__}: {error}",
                    fix="mend or remove the package that brings it",
                ) from error

    def brought(self) -> set[str]:
        """Return the names that installed packages bring."""
        return entry_points(group=self.group).names
