"""The finding of a walk through a file's structure."""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeAlias

Content: TypeAlias = "mmap.mmap | bytes"

MOST_BREAKS = 1000
"""Breaks of a file after which no further one is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """The findings of a walk through a file.

    Attributes:
        cut: True if the file ends before the size that it states, or in the midst of a unit.
        breaks: Offsets of the bytes at which the structure does not go on as it must.
        frames: Pictures that the file lists, where it is known how to count them; trusted only beside other evidence.
        is_total: True if the file states that number; False if it is counted, and damage may have taken more.
        duration: Stated duration in seconds, of a container whose header FFmpeg does not believe once it is cut.
        has_index: False if the file lacks an index without which its duration is not stated.
        last_pictures: Offsets at which the last picture of each stream begins, by the stream's number, of a transport
            stream.
    """

    cut: bool = False
    breaks: tuple[int, ...] = ()
    frames: int | None = None
    is_total: bool = True
    duration: Fraction | None = None
    has_index: bool = True
    last_pictures: Mapping[int, int] = field(default_factory=dict)
