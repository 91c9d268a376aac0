"""The course of a run, a line of JSON each: what the summary page is made from, and anyone's own plots."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO, Any

from covos.errors import CheckpointError
from covos.runtime.atomic import atomic_path


def read_history(path: Path) -> list[dict[str, Any]]:
    """The entries of a history; none if there is no file.

    Raises:
        CheckpointError: A line is no JSON object with a step.
    """
    if not path.exists():
        return []
    entries = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        try:
            entry = json.loads(line)
            int(entry["step"])
        except (ValueError, TypeError, KeyError) as error:
            raise CheckpointError(
                f"{path} is damaged", why=f"line {number}: {error}", fix="remove that line, or the file"
            ) from error
        entries.append(entry)
    return entries


class History:
    """Appends to a run's history.

    Args:
        path: The file.
        step: Steps done: entries beyond belong to steps that will be done again, and are dropped.
    """

    def __init__(self, path: Path, *, step: int) -> None:
        kept = [entry for entry in read_history(path) if entry["step"] <= step]
        with atomic_path(path) as temporary:
            temporary.write_text("".join(json.dumps(entry) + "\n" for entry in kept))
        self._file: IO[str] = path.open("a", encoding="utf-8")

    def add(self, **entry: Any) -> None:
        """Append an entry; it has a ``step``."""
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
