"""Words that differ by the door at which a person reads them: the command line, Python, the page with its HTTP API."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self


@dataclass(frozen=True, slots=True)
class Words:
    """A text in the words of each door; ``+`` joins it with texts, which are alike at all of them, and with others.

    Attributes:
        command: It for the command line, which has options.
        python: It for Python, which has arguments.
        page: It for the page and its HTTP API, whose fields are called like Python's arguments: those words if empty.
    """

    command: str
    python: str
    page: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "page", self.page or self.python)

    @classmethod
    def of(cls, text: str | Self) -> Self:
        """Take a text that is alike at all doors for words."""
        return cls(text, text) if isinstance(text, str) else text

    def changed(self, change: Callable[[str], str]) -> Words:
        """Return the words with a change of each text."""
        return Words(change(self.command), change(self.python), change(self.page))

    def __add__(self, after: str | Words) -> Words:
        after = Words.of(after)
        return Words(self.command + after.command, self.python + after.python, self.page + after.page)

    def __radd__(self, before: str) -> Words:
        return Words.of(before) + self


OVERWRITE: Final = Words("-y", "overwrite=True")
"""The option that lets something be replaced."""
