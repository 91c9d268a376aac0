"""Shots: where a video is cut, and which frames each of its frames is compared with.

A cut shows in two ways at once. The colours of the picture are others, and its edges lie where no motion from the
frame before could have brought them. Fast motion keeps the colours, a flash keeps the edges. A cut also stands out from
the frames before it, where a shaken camera does not.

The references of a frame lie in its own shot. In a long shot they lie around it: there is one for each so many frames,
and the window of those that a frame is compared with moves on by one at a time. So a long shot costs and holds no more
than a short one, and its quality does not fall with its length.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.types import Frame, ImageArray
from covos.engines.find import random_references, uniform_references
from covos.engines.motion import dis_flow
from covos.media.picture import picture_at
from covos.media.source import Source, prefetch

Cuts: TypeAlias = Literal["auto", "off"]
"""Find the cuts of a video, or take it as one shot, however long."""

SIZE: Final = (64, 36)
"""Width and height of the picture that is looked at."""
BINS: Final = (8, 4, 4)
"""Bins of hue, saturation and value."""
CHANGED: Final = 0.16
"""Share of the colours that are others, times the share of the edges that are, from which there is a cut. Set on the
training sequences of DAVIS: no cut between two of them is missed, none is found within (`benchmarks/cuts.py`)."""
STRONG: Final = 40.0
"""Slope of brightness, in levels over eight pixels, above which edges count alike."""
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
        self._before: _Look | None = None
        self._left: _Look | None = None
        self._since = 0
        self.returned = False
        self._changes: deque[float] = deque(maxlen=BEFORE)

    def look(self, image: ImageArray) -> bool:
        """Take the next frame, H x W x 3 uint8 RGB; return true if a shot begins with it, as with the first."""
        return self._look(_Look.of(cv2.resize(image, SIZE, interpolation=cv2.INTER_AREA)))

    def look_at(self, frame: Frame) -> bool:
        """Take the next frame as `look` does; its picture is made at the size that is looked at, where it can be."""
        return self._look(_Look.of(picture_at(frame, SIZE[::-1])))

    def _look(self, now: _Look) -> bool:
        before = self._before
        self._before = now
        self._since += 1
        if before is None:
            return True
        colours = _colours_changed(before, now)
        if colours > STANDS_OUT * max(self._changes, default=0.0) and _is_other(before, now):
            self.returned = self._left is not None and self._since <= SHORT and not _is_other(self._left, now)
            self._left, self._since = before, 0
            self._changes.clear()
            return True
        self._changes.append(colours)
        return False


class _Look(NamedTuple):
    """A small picture of a frame: its brightness, h x w uint8, and the shares of its colours."""

    grey: NDArray[np.uint8]
    colours: NDArray[np.float32]

    @classmethod
    def of(cls, small: NDArray[Any]) -> _Look:
        tones = cv2.cvtColor(small, cv2.COLOR_RGB2HSV)
        counts = cv2.calcHist([tones], [0, 1, 2], None, list(BINS), [0, 180, 0, 256, 0, 256]).ravel()
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        return cls(np.asarray(grey, np.uint8), np.asarray(counts / counts.sum(), np.float32))


def _is_other(before: _Look, now: _Look) -> bool:
    colours = _colours_changed(before, now)
    # The edges take five times as long as the colours, and can hardly change by more than all.
    return colours > CHANGED and colours * _edges_changed(before.grey, now.grey) > CHANGED


def _colours_changed(before: _Look, now: _Look) -> float:
    """Return the share of the colours that are others, in [0, 1]."""
    return 1 - float(np.minimum(before.colours, now.colours).sum())


def _edges_changed(before: NDArray[np.uint8], now: NDArray[np.uint8]) -> float:
    """Return the share of the edges that motion does not explain: 1 - their correlation along the flow, in [0, 2]."""
    height, width = now.shape
    flow = dis_flow(now, before)
    columns = flow[..., 0] + np.arange(width, dtype=np.float32)
    rows = flow[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    moved = cv2.remap(before, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    one, other = _gradients(now), _gradients(np.asarray(moved, np.uint8))
    strength = float(np.sqrt((one * one).sum() * (other * other).sum()))
    # Without edges in one of the two, as in a black frame, there is nothing in common.
    return 1 - float((one * other).sum()) / strength if strength > 1 else 1.0


def _gradients(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    # Strong edges count no more than others: those of black bars and of a caption stay over a cut.
    return np.clip(np.stack([cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)]), -STRONG, STRONG)


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
        pairs = zip((0, *self.cuts), (*self.cuts, self.frame_count), strict=True)
        return tuple(span for start, stop in pairs for span in self._of_shot(start, stop, references, seed))

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
        bounds = [start + part * length // parts for part in range(parts + 1)]
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


def one_shot(source: Source) -> Shots:
    """Take a video as one shot, whose references are spread over all of it."""
    return Shots(frame_count=source.info.frame_count)


def find_shots(source: Source) -> Generator[int, None, Shots]:
    """Look through a video for its cuts: yield how many frames are done; return the shots.

    A picture that could not be read is no shot of its own.
    """
    detector = CutDetector()
    cuts: list[int] = []
    for frame in prefetch(source):
        if frame.status != "unreadable" and detector.look_at(frame) and frame.index:
            if detector.returned:
                cuts.pop()
            else:
                cuts.append(frame.index)
        yield frame.index + 1
    return Shots.cut(source, tuple(cuts))
