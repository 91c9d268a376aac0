"""The end of a command whose results are done, but lack frames: exit code 4."""

from __future__ import annotations

from typing import TYPE_CHECKING

from covos.core.errors import IncompleteError
from covos.core.progress import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from covos.media.source import Health
    from covos.runs.writing import Saved


def refuse_incomplete(done: Sequence[tuple[str, Saved]]) -> None:
    """Say which results lack frames, by their names; nothing if none does.

    Raises:
        IncompleteError: Frames are missing or damaged, or were not computed.
    """
    if nothing := [name for name, saved in done if saved.uncomputed]:
        raise IncompleteError(
            f"frames of {', '.join(nothing)} were not computed",
            why="the network gave no numbers for them (NaN or infinity); report.json has them as uncomputed",
            fix="try --precision fp32, or other weights; --allow-errors takes that for success",
        )
    refuse_damaged([(name, saved.health) for name, saved in done], report="report.json")


def refuse_damaged(done: Sequence[tuple[str, Health]], *, report: str) -> None:
    """Say which sources were not read whole, by their names, and the report that has a row for each frame.

    Raises:
        IncompleteError: Frames are missing or damaged.
    """
    if damaged := [(name, health) for name, health in done if not health.complete]:
        raise IncompleteError(
            f"frames are missing or damaged in {', '.join(name for name, _ in damaged)}",
            why="; ".join(dict.fromkeys(_damage(health, report=report) for _, health in damaged)),
            fix="what could be read is done; --allow-errors takes that for success",
        )


def _damage(health: Health, *, report: str) -> str:
    """Say in a line what is missing or damaged."""
    least = "at least " if health.at_least else ""
    said = [f"{least}{counted(health.missing, 'frame')} missing"] if health.missing else []
    if health.concealed:
        said.append(f"{counted(len(health.concealed), 'frame')} damaged")
    if health.unreadable:
        said.append(f"{counted(len(health.unreadable), 'picture')} not to be read")
    if not said:
        said.append("the end is missing" if health.cut else "parts could not be read")
    return f"{', '.join(said)}; {report} has a row for each"
