"""Numbers of frames: of a part of a video, clients may name a frame by its index or by its number in the whole."""

from __future__ import annotations

import re

from covos.core.errors import CovosError, UsageError, reworded
from covos.core.types import SourceInfo
from covos.media.range import place_of
from covos.serve.schema import Shown


def check_frame(asked: Shown, *, info: SourceInfo) -> int:
    """Return the index of a frame; refuse one that does not exist, with a UsageError."""
    numbers = info.numbers
    if isinstance(asked, str) and info.is_part and int(asked[1:]) not in numbers:
        raise UsageError(
            f"frame {asked} is not taken",
            why=f"the job has the frames f{numbers[0]} to f{numbers[-1]} of the video"
            + ("" if info.every == 1 else f", one of {info.every}"),
            fix=f"give one of these, or an index from 0 to {info.frame_count - 1}",
        )
    frame = asked if isinstance(asked, int) else place_of(int(asked[1:]), info)
    if not 0 <= frame < info.frame_count:
        raise UsageError(
            f"frame {frame} does not exist",
            why=f"the clip has {info.frame_count} frames, numbered from 0"
            + (f": f{numbers[0]} to f{numbers[-1]} of the video" if info.is_part else ""),
            fix=f"give one of 0 to {info.frame_count - 1}"
            + (f", or f{numbers[0]} to f{numbers[-1]}" if info.is_part else ""),
        )
    return frame


def name_of(frame: int, *, info: SourceInfo) -> str:
    """Return a frame in words: its index, and its number in the whole video where that is another."""
    number = info.numbers[frame]
    return f"frame {frame}" if number == frame else f"frame {frame} (f{number} of the video)"


def with_indices(error: CovosError, *, info: SourceInfo) -> CovosError:
    """Return an error of a session, which names frames by their number in the whole video, as `name_of` has them."""
    numbers = info.numbers

    def named(found: re.Match[str]) -> str:
        number = int(found[1])
        return name_of(numbers.index(number), info=info) if number in numbers else found[0]

    if not info.is_part:
        return error
    return reworded(error, lambda text: re.sub(r"\bframe (\d+)\b", named, text))


def bound_of(asked: Shown, *, info: SourceInfo) -> int:
    """Return the first index in a job that is not before a frame, which need not be in it."""
    return asked if isinstance(asked, int) else max(0, -(-(int(asked[1:]) - info.start) // info.every))
