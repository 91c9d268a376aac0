"""Folders of results below the output: each belongs to one clip, and none lies in that of another."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Generic, TypeVar

OwnerT = TypeVar("OwnerT")


class Folders(Generic[OwnerT]):
    """The folders that are taken so far, each with its owner."""

    def __init__(self) -> None:
        self._taken: dict[PurePosixPath, OwnerT] = {}
        self._above: dict[PurePosixPath, OwnerT] = {}
        """Folders that hold one that is taken."""

    def take(self, name: str, owner: OwnerT) -> OwnerT | None:
        """Take a folder, unless it, one above it, or one in it has an owner, which is returned then."""
        place = PurePosixPath(name)
        for each in (place, *place.parents):
            if each in self._taken:
                return self._taken[each]
        if place in self._above:
            return self._above[place]
        self._taken[place] = owner
        for each in place.parents:
            self._above.setdefault(each, owner)
        return None
