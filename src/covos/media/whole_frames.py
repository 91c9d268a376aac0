"""The whole frames of a damaged animation, as a file of their own that a decoder takes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeFrames:
    """The frames of an animation that can be read.

    Attributes:
        content: A file that its decoder takes: the one that was read, or one of its whole frames.
        durations: Milliseconds of each frame of the original, as they are stated; 0 where they cannot be read.
        kept: Numbers of the frames in ``content``, ascending.
        patched: Numbers of those that lie, in part, over a frame that is lost, or lack a part themselves.
        hidden: Pictures that ``content`` has before them, and that are not shown.
        is_counted: True if it is known how many frames there were.
    """

    content: bytes
    durations: tuple[int, ...]
    kept: tuple[int, ...]
    patched: frozenset[int] = frozenset()
    hidden: int = 0
    is_counted: bool = True
