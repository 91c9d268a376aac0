"""A pass that follows forward and is gone again after each change of what is shown."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping

from covos.core.ahead import prefetch
from covos.core.types import FrameResult
from covos.engines.choices import AROUND
from covos.engines.follow import FollowEngine, PassCheckpoints
from covos.engines.follow_result import Given
from covos.engines.held import with_held_masks
from covos.masks.frame_mask import FrameMask
from covos.media.source import Source


class IncrementalPass:
    """Follows forward again and again: what comes before the first prompt that has changed is not done again."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._frames: tuple[FrameMask, ...] = ()
        self._checkpoints = PassCheckpoints()
        self._fingerprints: Mapping[int, Hashable] = {}
        self._engine: FollowEngine | None = None

    def run(
        self,
        engine: FollowEngine,
        given: Given,
        *,
        fingerprints: Mapping[int, Hashable],
        memory: int,
        cancellable: Callable[[Iterator[FrameResult]], Iterator[FrameResult]] = iter,
    ) -> tuple[FrameMask, ...]:
        """Return the masks of all frames, as one pass from the first frame would give them.

        The memory is the same each time; by another engine, all frames are followed again. ``fingerprints`` has for
        each frame with masks a value that equals that of another run only if its masks are the same, of the same
        objects in the same order. ``cancellable`` may end the results by an error.
        """
        changed = self._first_change(fingerprints)
        # The last frames before a change are brought together with it, and the first after a checkpoint lack some.
        safe = changed - 2 * AROUND if changed < self.source.info.frame_count else changed
        start, resumed = (self._is_known(engine) and self._checkpoints.rewind(safe)) or (0, None)
        if resumed is None:
            frames, self._checkpoints = engine.encoder.observe(self.source), PassCheckpoints()
        else:
            frames = engine.encoder.select(self.source, range(start, self.source.info.frame_count))
        results = engine.forward(prefetch(frames), given, memory=memory, checkpoints=self._checkpoints, resumed=resumed)
        first = start + AROUND if resumed else 0
        kept = self._frames[:first]
        # Should this be interrupted, nothing is known.
        self._frames, self._fingerprints = (), {}
        fresh = (result for result in with_held_masks(cancellable(results)) if result.frame.index >= first)
        self._frames = (*kept, *map(FrameMask.of, fresh))
        self._fingerprints, self._engine = dict(fingerprints), engine
        return self._frames

    def part(
        self, engine: FollowEngine, given: Given, *, fingerprints: Mapping[int, Hashable], memory: int, wanted: range
    ) -> Iterator[FrameResult]:
        """Give the results of some frames, as one pass from the first seed frame gives them; see `run`.

        There is a mask on or before the first wanted frame. Frames before it are followed again only from the nearest
        checkpoint.
        """
        known = min(wanted.start - AROUND, self._first_change(fingerprints))
        start, resumed = (self._is_known(engine) and self._checkpoints.nearest(known)) or (min(given), None)
        stop = min(wanted.stop + AROUND, self.source.info.frame_count)
        frames = prefetch(engine.encoder.select(self.source, range(start, stop)))
        for result in engine.forward(frames, given, memory=memory, resumed=resumed):
            if result.frame.index in wanted:
                yield result

    def _is_known(self, engine: FollowEngine) -> bool:
        """True if this engine has followed every frame: a damaged source gives others when read from the middle."""
        count = self.source.info.frame_count
        return engine is self._engine and self.source.health.complete and len(self._frames) == count

    def _first_change(self, fingerprints: Mapping[int, Hashable]) -> int:
        both = self._fingerprints.keys() | fingerprints.keys()
        changed = (at for at in both if self._fingerprints.get(at) != fingerprints.get(at))
        return min(changed, default=self.source.info.frame_count)
