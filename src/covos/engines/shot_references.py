"""The references of each frame of an open video, encoded as a pass reaches their place.

A video is looked through for cuts before. If it has none, it is known beforehand which frames its references will be.
They are kept as they go by, so that a short video is not read once more for them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import reduce
from itertools import islice
from threading import Lock
from typing import Any, Final, Generic

from covos.core.types import Frame
from covos.engines.encoding import FeaturesT, FrameEncoder
from covos.engines.find import FindEngine, References
from covos.engines.motion import Observed
from covos.engines.shots import Shots, Span
from covos.media.source import Source

KEPT: Final = 8
"""References that are kept while a video is looked through, at most: each holds its frame. The others of a long video
are read when their place is reached."""


class PassingReferences:
    """Keeps the references that a video will have if there is no cut in it, while it is looked through.

    Args:
        source: The video.
        encoder: That of the pass to come; it may or may not know cuts.
        references: For each frame, and the seed that they are drawn from, as in `covos.engines.shots.Shots.spans`.
        seed: As there.
    """

    def __init__(self, source: Source, encoder: FrameEncoder[Any], *, references: int, seed: int | None) -> None:
        self._source, self._encoder = source, encoder
        spans = Shots.cut(source, ()).spans(references, seed=seed)
        every = sorted({index for span in spans for index in span.references})
        self._wanted = frozenset(islice(every, KEPT))
        self._before: Frame | None = None
        self._kept: dict[int, Observed] = {}

    def see(self, frame: Frame) -> None:
        """Take the next frame of all."""
        before, self._before = self._before, frame
        # The motion of the first frame is that to its successor: it is left to be read.
        if frame.index in self._wanted and before is not None:
            (self._kept[frame.index],) = self._encoder.observe((before, frame), wanted={frame.index})

    def kept(self, shots: Shots) -> dict[int, Observed]:
        """Return the references that are known, by their index, once the shots are; none where there are cuts."""
        kept, self._kept, self._before = self._kept, {}, None
        # A selection of a damaged source may give other frames.
        return {} if shots.cuts or not self._source.health.complete else kept


HELD: Final = 2
"""Spans whose references are held: one thread encodes ahead, another may look again at a frame a little before."""


class ShotReferences(Generic[FeaturesT]):
    """Gives the references of a frame, in each view of an engine; those of two spans are held at a time.

    The references of a video that is gone through forward are read in one pass beside it, and each is encoded once.
    Several threads may ask, but none within a call of a network (`covos.engines.ladder`): another that encodes
    references may wait for such calls to end.

    Args:
        source: The video; read when references are asked for.
        engine: Encodes them; it knows the cuts.
        spans: From `covos.engines.shots.Shots.spans`.
        kept: References that need not be read, from `PassingReferences.kept`; each is taken out when it is asked for.
    """

    def __init__(
        self,
        source: Source,
        engine: FindEngine[FeaturesT],
        spans: Sequence[Span],
        *,
        kept: dict[int, Observed] | None = None,
    ) -> None:
        self._source, self._engine = source, engine
        self._spans, self._starts = spans, [span.start for span in spans]
        self._every = sorted({index for span in spans for index in span.references})
        self._kept = {} if kept is None else kept
        self._frames: Iterator[Observed] = iter(())
        self._next: Observed | None = None
        self._latest = 0
        """Index of the reference that was read last; where no pass is under way, all lie before it."""
        self._encoded: dict[int, tuple[References[FeaturesT], ...]] = {}
        self._held: dict[Span, tuple[References[FeaturesT], ...]] = {}
        """Spans with their references in each view, the latest that was asked for last."""
        self._turn = Lock()
        self.close()

    def __call__(self, index: int) -> tuple[References[FeaturesT], ...]:
        """Return the references of the frame with this index, in each view."""
        span = self._spans[bisect_right(self._starts, index) - 1]
        with self._turn:
            found = self._held.pop(span, None)
            if found is None:
                found = self._encode(span)
            self._held[span] = found
            while len(self._held) > HELD:
                del self._held[next(iter(self._held))]
            return found

    def _encode(self, span: Span) -> tuple[References[FeaturesT], ...]:
        held = {each for other in self._held for each in other.references}
        self._encoded = {each: self._encoded[each] for each in self._encoded if each in held or each in span.references}
        for each in span.references:
            if each not in self._encoded and (read := self._read(each)) is not None:
                self._encoded[each] = self._engine.remember([read])
        if self._every and self._latest == self._every[-1]:
            self.close()
        return self._in_views(span)

    def close(self) -> None:
        """End the pass that reads them; what is held stays, and another pass begins where one is needed."""
        self._frames, self._next = iter(()), None
        self._latest = len(self._every) and self._every[-1] + 1

    def _in_views(self, span: Span) -> tuple[References[FeaturesT], ...]:
        nothing: tuple[References[FeaturesT], ...] = self._engine.remember(())
        known = sorted({*span.references} & self._encoded.keys())
        views = zip(nothing, *(self._encoded[index] for index in known), strict=True)
        return tuple(reduce(References.joined, view) for view in views)

    def _read(self, index: int) -> Observed | None:
        """Read a reference; None if a damaged source does not reach it."""
        if (kept := self._kept.pop(index, None)) is not None:
            return kept
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
