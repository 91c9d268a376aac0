"""Tables of batches, as the tests of the fleet read them."""

from __future__ import annotations

import csv
from pathlib import Path


def table(file: Path) -> dict[str, dict[str, str]]:
    """Return the rows of a CSV table, by the name of the clip."""
    with file.open(encoding="utf-8", newline="") as lines:
        return {row["name"]: row for row in csv.DictReader(lines)}
