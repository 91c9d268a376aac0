"""The frame that a prompt names: its number in the whole source, or the first frame that is taken."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import AfterValidator, ValidationInfo

from covos.core.errors import UsageError
from covos.core.whole import whole_number

_FIRST_ONCE = -1
"""The first frame that is taken, as plans had it that earlier versions printed."""


def _named(frame: int) -> int:
    if frame < 0:
        raise UsageError(
            f"frame {frame} does not exist",
            why="frames of the source are numbered from 0",
            fix="give the number of a frame; without one, the first frame that is taken is meant",
        )
    return frame


def _named_or_first(frame: int | None, info: ValidationInfo) -> int | None:
    return None if frame is None or (frame == _FIRST_ONCE and info.mode == "json") else _named(frame)


NamedFrame: TypeAlias = Annotated[int, AfterValidator(_named)]
"""The number of a frame in the whole source, from 0."""
NamedOrFirst: TypeAlias = Annotated[int | None, AfterValidator(_named_or_first)]
"""The number of a frame in the whole source, from 0; None is the first frame that is taken of it."""


def frame_name(frame: int | None) -> str:
    """Return the name of a frame for messages."""
    return "the first frame" if frame is None else f"frame {frame}"


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
