"""Short names for results that are compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from covos.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def result_names(paths: Sequence[Path]) -> list[str]:
    """The last folders of each path, as many as it takes to tell the paths apart.

    Raises:
        UsageError: A path is given twice.
    """
    parts = [path.absolute().parts for path in paths]
    for depth in range(1, max(map(len, parts)) + 1):
        names = ["/".join(each[-depth:]).removeprefix("//") for each in parts]
        if len(set(names)) == len(names):
            return names
    twice = next(path for path in paths if list(paths).count(path) > 1)
    raise UsageError(f"{twice} is given twice", why="a result is compared with others", fix="name each result once")
