"""The choices that engines leave to the user, with their defaults and limits: known before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias, get_args

from covos.core.errors import UsageError

DEFAULT_REFERENCES = 5
"""As in the paper: J no longer grows beyond (COSNet, table 4)."""
MAX_REFERENCES = 64

Quality = Literal["draft", "fast", "balanced", "best"]
"""Care in finding the subject. A draft finds it in small frames, the best in those of the training and in further
views. In a draft, and where it is fast, some frames are made of their neighbours (see `covos.engines.between`)."""
DEFAULT_QUALITY: Final = "balanced"

APART: Final[dict[Quality, int]] = {"draft": 4, "fast": 2}
"""Frames from one that the network looks at to the next, where that is not the next one."""

AROUND: Final = 4
"""Frames on each side that a frame is brought together with."""

DEFAULT_MOST = 10
MAX_MOST = 20
"""Objects; as many as the unsupervised protocol of DAVIS lets be proposed."""

MAX_GIVEN = 64
"""Frames with masks from the user that one video may have, and that a memory holds."""
DEFAULT_MEMORY = 5
"""Frames between the given ones and the latest, unless the user says otherwise."""
MAX_MEMORY = 32

Direction: TypeAlias = Literal["auto", "forward", "backward", "both"]
"""Direction in which objects are followed from where they are shown; auto goes both ways if one is shown after the
first frame only, or on several frames."""

Cuts: TypeAlias = Literal["auto", "off"]
"""Find the cuts of a video, or take it as one shot, however long."""

SPAN: Final = 100
"""Frames of the past over which references are spread, by default: four seconds."""


def apart_of(quality: Quality) -> int:
    """Return the frames from one that the network looks at to the next."""
    return APART.get(quality, 1)


def check_references(count: int) -> None:
    """Refuse a number of references that makes no sense."""
    if not 0 <= count <= MAX_REFERENCES:
        raise UsageError(
            f"references = {count}",
            why="memory and time grow with them and accuracy does not",
            fix=f"use 0 to {MAX_REFERENCES}; {DEFAULT_REFERENCES} is the default",
        )


def check_memory(count: int) -> None:
    """Refuse a size of the memory that makes no sense."""
    if not 0 <= count <= MAX_MEMORY:
        raise UsageError(
            f"memory = {count}",
            why="time and room grow with the remembered frames",
            fix=f"use 0 to {MAX_MEMORY}; {DEFAULT_MEMORY} is the default",
        )


def choose_direction(asked: Direction, *, frames: Sequence[int]) -> Direction:
    """Return the direction that is taken, never ``"auto"``, for prompts on these frames."""
    if asked not in get_args(Direction):
        raise UsageError(
            f"direction {asked!r}", why="there is none of this name", fix=f"use {', '.join(get_args(Direction))}"
        )
    if not frames:
        raise UsageError(
            "there is nothing to follow",
            why="no object was shown",
            fix="give a mask, a point or a box on one of the frames",
        )
    if asked != "auto":
        return asked
    return "forward" if tuple(frames) == (0,) else "both"
