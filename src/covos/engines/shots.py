"""Shots: where a video is cut, and which frames each of its frames is compared with.

A cut shows in two ways at once. The colours of the picture are others, and its edges lie where no motion from the
frame before could have brought them. Fast motion keeps the colours, a flash keeps the edges. A cut also stands out from
the frames before it, where a shaken camera does not. If one shot fades into another, the cut is in the middle of the
fade (see `covos.engines.fades`).

The references of a frame lie in its own shot. In a long shot they lie around it. There is one for each so many frames,
and the window of those that a frame is compared with moves on by one at a time. So a long shot costs and holds no more
than a short one, and its quality does not fall with its length.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

from covos.core.ahead import prefetch
from covos.core.types import Frame
from covos.engines.fades import FadeDetector
from covos.engines.find import random_references, uniform_references
from covos.engines.looks import Look, colours_changed, is_other
from covos.media.source import Source

STANDS_OUT: Final = 2.0
"""A cut changes so many times as much of the colours as any of the frames just before it."""
BEFORE: Final = 3
"""Frames just before it."""
SHORT: Final = 3
"""Frames that may come between two parts of one shot, as a flash does."""
WINDOW: Final = 250
"""Frames, ten seconds, over which the references of a frame are spread at most."""


class CutDetector:
    """Tells, frame by frame and by the past alone, where a shot begins.

    Attributes:
        returned: True if the latest frame that began a shot looks as the frame before the cut just before it: something
            short came between, such as a flash.
    """

    def __init__(self) -> None:
        self._before: Look | None = None
        self._left: Look | None = None
        self._since = 0
        self.returned = False
        self._changes: deque[float] = deque(maxlen=BEFORE)

    def take(self, now: Look) -> bool:
        """Take the look at the next frame; return true if a shot begins with it, as with the first."""
        before = self._before
        self._before = now
        self._since += 1
        if before is None:
            return True
        colours = colours_changed(before, now)
        if colours > STANDS_OUT * max(self._changes, default=0.0) and is_other(before, now):
            self.returned = self._left is not None and self._since <= SHORT and not is_other(self._left, now)
            # Back in the shot, the next change is a new one, though it looks as what came between.
            self._left, self._since = None if self.returned else before, 0
            self._changes.clear()
            return True
        self._changes.append(colours)
        return False


class Span(NamedTuple):
    """Frames from ``start`` to before ``stop``, which are compared with the same references, ascending."""

    start: int
    stop: int
    references: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Shots:
    """The shots of a video.

    Attributes:
        frame_count: Frames of the video.
        cuts: First frames of all shots but the first, ascending.
        window: Frames over which the references of a frame are spread; None spreads them over its whole shot.
    """

    frame_count: int
    cuts: tuple[int, ...] = ()
    window: int | None = None

    @classmethod
    def cut(cls, source: Source, cuts: tuple[int, ...]) -> Shots:
        """Return the shots of a video with these cuts, with the references of each frame around it."""
        return cls(frame_count=source.info.frame_count, cuts=cuts, window=WINDOW)

    def spans(self, references: int, *, seed: int | None = None) -> tuple[Span, ...]:
        """Choose the references of all frames, so many for each where its shot has them; together all frames.

        They are spread evenly; with a ``seed``, they are drawn at random from the shot, or from equal parts of it.
        """
        return tuple(span for shot in self.each for span in self._of_shot(shot.start, shot.stop, references, seed))

    @property
    def each(self) -> tuple[range, ...]:
        """The frames of each shot."""
        return tuple(range(start, stop) for start, stop in pairwise((0, *self.cuts, self.frame_count)))

    def _of_shot(self, start: int, stop: int, count: int, seed: int | None) -> Iterator[Span]:
        length = stop - start
        if not count or self.window is None or length <= self.window:
            chosen = (
                uniform_references(length, references=count)
                if seed is None
                else random_references(length, references=count, seed=seed)
            )
            yield Span(start, stop, tuple(start + each for each in chosen))
            return
        parts = max(count, math.ceil(length * count / self.window))
        bounds = equal_bounds(range(start, stop), parts)
        if seed is None:
            every = tuple(start + each for each in uniform_references(length, references=parts))
        else:
            draw = random.Random(seed)
            every = tuple(draw.randrange(*pair) for pair in pairwise(bounds))
        at, first = start, 0
        for part in range(1, parts + 1):
            following = min(max(part - count // 2, 0), parts - count)
            if part == parts or following != first:
                end = bounds[part]
                yield Span(at, end, every[first : first + count])
                at, first = end, following


def equal_bounds(frames: range, parts: int) -> list[int]:
    """Return where equal parts of some frames begin, and the end of the last one."""
    return [frames.start + part * len(frames) // parts for part in range(parts + 1)]


def one_shot(source: Source) -> Shots:
    """Take a video as one shot, whose references are spread over all of it."""
    return Shots(frame_count=source.info.frame_count)


def find_shots(source: Source, *, see: Callable[[Frame], None] | None = None) -> Generator[int, None, Shots]:
    """Look through a video for its cuts: yield how many frames are done; return the shots.

    A picture that could not be read is no shot of its own. ``see`` is shown each frame as well.
    """
    detector, fades = CutDetector(), FadeDetector()
    cuts: list[int] = []
    has_begun = False
    for frame in prefetch(source):
        if see is not None:
            see(frame)
        if frame.status != "unreadable":
            look = Look.at_frame(frame)
            fades.take(look, index=frame.index)
            if detector.take(look) and has_begun:
                if detector.returned:
                    cuts.pop()
                else:
                    cuts.append(frame.index)
            has_begun = True
        yield frame.index + 1
    return Shots.cut(source, tuple(sorted({*cuts, *fades.middles(cuts)})))
