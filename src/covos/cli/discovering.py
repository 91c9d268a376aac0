"""From ``--objects`` to what is to be found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from covos.errors import UsageError

if TYPE_CHECKING:
    from covos.api.discovering import Discovering


def discovering(objects: str, *, shown: bool, references: int, memory: int, follower: str) -> Discovering | None:
    """What to find; None where it is one subject, or where objects are shown.

    Args:
        objects: As written.
        shown: Whether an option shows objects.
        references: See `Discovering`.
        memory: See `Discovering`.
        follower: See `Discovering`.

    Raises:
        UsageError: It is no number of objects, or objects are shown too.
    """
    from covos.api.discovering import Discovering, check_objects

    most = check_objects(int(objects) if objects.isdecimal() else objects)
    if most is None:
        return None
    if shown:
        raise UsageError(
            f"--objects {objects} beside --mask, --point, --box or --prompts",
            why="objects are either found or shown",
            fix="leave one of them out",
        )
    return Discovering(most=most, references=references, memory=memory, follower=follower)
