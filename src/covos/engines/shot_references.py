"""The references of each frame of an open video, encoded as a pass reaches their place."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Any, Generic

from covos.engines.encoding import FeaturesT
from covos.engines.find import FindEngine, References
from covos.engines.motion import Observed
from covos.engines.shots import Span
from covos.media.source import Source


class ShotReferences(Generic[FeaturesT]):
    """Gives the references of a frame, in each view of an engine; those of one span are held at a time.

    The references of a video that is gone through forward are read in one pass beside it, and each is encoded once.

    Args:
        source: The video; read when references are asked for.
        engine: Encodes them; it knows the cuts.
        spans: From `covos.engines.shots.Shots.spans`.
    """

    def __init__(self, source: Source, engine: FindEngine[FeaturesT], spans: Sequence[Span]) -> None:
        self._source, self._engine = source, engine
        self._spans, self._starts = spans, [span.start for span in spans]
        self._every = sorted({index for span in spans for index in span.references})
        self._frames: Iterator[Observed] = iter(())
        self._next: Observed | None = None
        self._latest = 0
        """Index of the reference that was read last; where no pass is under way, all lie before it."""
        self._span: Span | None = None
        self._encoded: dict[int, tuple[References[FeaturesT], ...]] = {}
        self._now: tuple[References[FeaturesT], ...] = ()
        self.close()

    def __call__(self, index: int) -> tuple[References[FeaturesT], ...]:
        """Return the references of the frame with this index, in each view."""
        span = self._spans[bisect_right(self._starts, index) - 1]
        if span is not self._span:
            self._encoded = {each: self._encoded[each] for each in span.references if each in self._encoded}
            for each in span.references:
                if each not in self._encoded and (read := self._read(each)) is not None:
                    self._encoded[each] = self._engine.remember([read])
            self._span, self._now = span, self._in_views()
            if self._every and self._latest == self._every[-1]:
                self.close()
        return self._now

    def close(self) -> None:
        """End the pass that reads them; what is held stays, and another pass begins where one is needed."""
        self._frames, self._next = iter(()), None
        self._latest = len(self._every) and self._every[-1] + 1

    def _in_views(self) -> tuple[References[FeaturesT], ...]:
        nothing: tuple[References[FeaturesT], ...] = self._engine.remember(())
        views = zip(nothing, *(self._encoded[index] for index in sorted(self._encoded)), strict=True)
        return tuple(reduce(References.joined, view) for view in views)

    def _read(self, index: int) -> Observed | None:
        """Read a reference; None if a damaged source does not reach it."""
        if index < self._latest:
            following: Any = self._every[bisect_left(self._every, index) :]
            self._frames = iter(self._engine.encoder.select(self._source, following))
            self._next = None
        self._latest = index
        while self._next is None or self._next.frame.index < index:
            self._next = next(self._frames, None)
            if self._next is None:
                return None
        return self._next if self._next.frame.index == index else None
