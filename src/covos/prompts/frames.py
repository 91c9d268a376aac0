"""The frame that a prompt names: its number in the whole source, or the first frame that is taken."""

from __future__ import annotations

import operator
from typing import Annotated, Any, Final, TypeAlias

from pydantic import AfterValidator, ValidationInfo

from covos.core.errors import UsageError

FIRST: Final = -1
"""In place of the number of a frame in a record: the first frame that is taken of the source. Callers leave it out."""


def _checked(frame: int, info: ValidationInfo) -> int:
    if frame < 0 and not (frame == FIRST and info.mode == "json"):  # the JSON of a plan has it
        raise UsageError(
            f"frame {frame} does not exist",
            why="frames of the source are numbered from 0",
            fix="give the number of a frame; without one, the first frame that is taken is meant",
        )
    return frame


NamedFrame: TypeAlias = Annotated[int, AfterValidator(_checked)]
"""The number of a frame in the whole source, from 0; `FIRST` is a default alone."""


def at(frame: int | None) -> dict[str, Any]:
    """Return the argument ``frame`` of a prompt; none for the first frame that is taken, `FIRST` or None."""
    return {} if frame is None or frame == FIRST else {"frame": frame}


def frame_name(frame: int) -> str:
    """Return the name of a frame for messages."""
    return "the first frame" if frame == FIRST else f"frame {frame}"


def whole_number(number: Any) -> int | None:
    """Return a whole number of any type, such as NumPy's, as Python's int, which JSON takes; None for anything else."""
    try:
        return operator.index(number)
    except TypeError:
        return None


def frame_of_key(key: object, *, what: str) -> int:
    """Return the number of a frame that a caller gives as the key of a mapping; ``what`` names the mapping.

    Raises:
        UsageError: It is no whole number, or below 0.
    """
    number = whole_number(key)
    if number is None or number < 0:
        raise UsageError(
            f"{what} of frame {key!r}, which does not exist",
            why="frames of the source are whole numbers from 0",
            fix=f"give its number, as in {what}={{40: ...}}; or leave the number out: {what}=...",
        )
    return number
