"""Follow the objects of a session, in parts and again after a correction, and keep the masks that were found."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from covos.core.errors import CancelledError, UsageError
from covos.core.types import FrameResult, MaskArray
from covos.engines.choices import Direction
from covos.engines.follow import FollowEngine
from covos.engines.follow_passes import follow_backward
from covos.engines.held import with_held_masks
from covos.engines.incremental import IncrementalPass
from covos.engines.stages import StageProgress
from covos.masks import decode
from covos.masks.frame_mask import FrameMask
from covos.masks.scaling import to_size
from covos.media.range import place_of
from covos.media.source import Source
from covos.prompts.seeds import Seeds
from covos.results.corrected import Correction, as_they_are, with_corrections
from covos.results.followed import FollowedMasks
from covos.results.replay import Listener, nothing_heard
from covos.runs.room import explaining_memory

T = TypeVar("T")


class Following:
    """The passes over one video, and the masks that they have found so far.

    Args:
        source: The video.
        seeds: Its seeds, which the user may change between two passes, and while one goes on.
        memory: Frames that are remembered between the first and the latest.
    """

    def __init__(self, source: Source, seeds: Seeds, *, memory: int) -> None:
        self._source, self._seeds, self._memory = source, seeds, memory
        self._forward = IncrementalPass(source)
        self._found = FollowedMasks()
        self._cancel = threading.Event()

    @property
    def frames(self) -> tuple[FrameMask, ...]:
        """The masks of the frames that were followed, in order, without objects that are no more."""
        return tuple(map(self._known, self._found))

    def mask(self, frame: int, identity: int) -> MaskArray | None:
        """Return the mask that following has found, if the id is still that of the same object: H x W bool."""
        if frame not in self._found or identity not in (known := self._known(frame).objects):
            return None
        info = self._source.info
        mask: MaskArray = to_size(decode(known[identity]), (info.height, info.width))
        return mask

    def masks(self, frame: int) -> dict[int, MaskArray]:
        """Return the masks that following has found on a frame, by object id."""
        known = self._known(frame).objects if frame in self._found else {}
        return {identity: mask for identity in known if (mask := self.mask(frame, identity)) is not None}

    def areas(self, identity: int) -> dict[int, int]:
        """Return the pixels of an object on the frames where it was surely followed, by their numbers."""
        return self._found.areas(identity, births=self._seeds.births)

    def take(self, frame: FrameMask) -> None:
        """Keep masks that were found elsewhere."""
        there = {*frame.objects, *(each.id for each in frame.states)}
        self._seeds.know(there)
        births = {identity: self._seeds.births[identity] for identity in there}
        self._found.keep([frame], births=births, step=self._seeds.line[-1])

    def begin(self) -> None:
        """Begin a pass: what was cancelled before is over. It may be cancelled from now on, before a frame comes."""
        self._cancel.clear()

    def cancel(self) -> None:
        """Let the pass that goes on end before its next frame, with a CancelledError."""
        self._cancel.set()

    def cancellable(self, results: Iterator[T]) -> Iterator[T]:
        """Give the results of a pass that has begun (see `begin`), until it is cancelled."""
        self._refuse_cancelled()
        for each in results:
            self._refuse_cancelled()
            yield each
            self._refuse_cancelled()  # before the next one is computed

    def _refuse_cancelled(self) -> None:
        if self._cancel.is_set():
            raise CancelledError(
                "the pass was cancelled", why="Session.cancel was called", fix="begin it again when you like"
            )

    def again(
        self,
        direction: Direction,
        *,
        follower: Callable[[], FollowEngine],
        results: Callable[[], Iterator[FrameResult | StageProgress]],
        listen: Listener | None,
    ) -> bool:
        """Follow over the whole video, and put those masks back that no correction has reached.

        If it does not end, the masks are those that were there before.

        Args:
            direction: The way in time.
            follower: Gives the engine that follows: forward, frames at which nothing has changed are left out.
            results: Begins a pass over all frames, in this direction.
            listen: See `kept`.

        Returns:
            False if there was nothing to follow (see `_settle`).

        Raises:
            UsageError: The source is closed.
        """
        with self._found.or_as_before():
            if self._settle():
                return False
            self._source.refuse_if_closed()
            self._found.put_away(line=self._seeds.line)
            if direction == "forward" and listen is None:
                self._onward(follower())
            else:
                for _ in self.kept(results(), listen=listen or nothing_heard):
                    pass
            self._correct(direction)
        return True

    def _onward(self, follower: FollowEngine) -> None:
        """Follow forward over the whole video, but for the frames at which nothing has changed."""
        frames = self._forward.run(
            follower,
            self._seeds.given(),
            fingerprints=self._seeds.fingerprints(),
            memory=self._memory,
            cancellable=self.cancellable,
        )
        self._found.keep(frames, births=self._seeds.births, step=self._seeds.line[-1])

    def _correct(self, direction: Direction) -> None:
        """Put the masks from before the latest prompts back, but for those that a correction has reached."""
        line, births = self._seeds.line, self._seeds.births
        numbers = list(self._found)
        old = [self._found.before(number, line=line) for number in numbers]
        if (since := self._corrected(numbers)) is None:
            return
        places = {place_of(number, self._source.info): index for index, number in enumerate(numbers)}
        corrected = {places[place]: identities for place, identities in since.items() if place in places}
        new = [self._found.masks(number, births=births) for number in numbers]
        masks = with_corrections(new, old, births=births, corrected=corrected, direction=direction)
        self._found.keep(masks, births=births, step=line[-1])

    def _settle(self) -> bool:
        """Keep the masks as they are, if all that was shown since is what they have; return False if a pass is needed.

        All frames need masks from before the latest prompt: who has shown nothing since asks for a pass.
        """
        line, births, numbers = self._seeds.line, self._seeds.births, self._source.info.numbers
        found = [self._found.before(number, line=line) for number in numbers]
        known = [each for each in found if each is not None]
        if len(known) < len(found) or (since := self._corrected(numbers)) is None:
            return False
        given = {(place_of(each.frame, self._source.info), each.object): each.mask for each in self._seeds.current}
        corrected = [(place, identity) for place, identities in since.items() for identity in identities]
        if not given.keys() >= {*corrected}:
            return False
        shown = {place: {identity: given[place, identity] for identity in since[place]} for place in since}
        if (masks := as_they_are(known, births=births, shown=shown)) is None:
            return False
        self._found.put_away(line=self._seeds.line)
        self._found.keep(masks, births=births, step=line[-1])
        return True

    def parts(
        self, follower: FollowEngine, direction: Direction, *, start: int | None, limit: int | None
    ) -> Iterator[Iterator[FrameResult]]:
        """Give the passes of a part, each with the seeds of now; refuse one way alone that cannot be gone."""
        count, given = self._source.info.frame_count, self._seeds.given()
        first, last, numbers = min(self._seeds.places), max(self._seeds.places), self._source.info.numbers
        start = None if start is None else place_of(start, self._source.info)
        onward = first if start is None else start
        if direction == "forward" and first > onward:
            raise _unknown_at(numbers[onward], "before", numbers[first])
        if direction != "backward" and first <= onward:
            yield self._forward.part(
                follower,
                given,
                fingerprints=self._seeds.fingerprints(),
                memory=self._memory,
                wanted=range(onward, count if limit is None else min(count, onward + limit)),
            )
        back = (last if direction == "backward" else first) if start is None else start
        if direction == "backward" and last < back:
            raise _unknown_at(numbers[back], "after", numbers[last])
        if direction != "forward" and last >= back:
            stop = -1 if limit is None else max(-1, back - limit)
            passed = follow_backward(self._source, follower, given, memory=self._memory, stop=stop)
            # Frames that were followed onward from the same frame have it already.
            end = back if direction == "both" and first <= onward else back + 1
            yield (result for result in passed if result.frame.index < end)

    def kept(
        self,
        results: Iterator[FrameResult | StageProgress],
        *,
        listen: Listener = nothing_heard,
        correcting: bool = False,
    ) -> Iterator[FrameResult]:
        """Keep the masks of results as they come; frames without numbers hold the masks before.

        Args:
            results: Of any frames; with ``correcting`` of all, in their order.
            listen: Hears how far a stage before the first result is, and then of each result.
            correcting: If true, the results get the masks from before the latest prompts, but for those that a
                correction on their frame or an earlier one has reached.
        """
        births, line = self._seeds.births, self._seeds.line  # of now: the user may change them meanwhile
        since = self._corrected(self._source.info.numbers) if correcting else None
        correction = None if since is None else Correction(births=births, corrected=since)
        going = self.cancellable(results)

        def keep() -> Iterator[FrameResult]:
            with explaining_memory(self._source.info, objects=max(1, len(self._seeds.objects))):
                held = with_held_masks(self._heard(going, listen))
                for mask, result in _as_they_are(held) if correction is None else self._corrections(held, correction):
                    self._found.keep([mask], births=births, step=line[-1])
                    yield result

        return keep()

    def _corrections(
        self, results: Iterator[FrameResult], correction: Correction
    ) -> Iterator[tuple[FrameMask, FrameResult]]:
        """Give the masks that a correction leaves, each with its result; some wait for the frames behind them."""
        waiting: deque[FrameResult] = deque()
        line = self._seeds.line

        def settled(masks: Iterable[FrameMask]) -> Iterator[tuple[FrameMask, FrameResult]]:
            for mask in masks:
                self._found.put_away(line=line, frame=mask.number)
                yield mask, mask.onto(waiting.popleft())

        for result in results:
            waiting.append(result)
            mask = FrameMask.of(result)
            yield from settled(correction.take(mask.index, mask, self._found.before(mask.number, line=line)))
        yield from settled(correction.end())

    def _corrected(self, numbers: Iterable[int]) -> dict[int, set[int]] | None:
        """Return what was corrected since the oldest masks of frames; None if there are none to correct."""
        old = (self._found.before(number, line=self._seeds.line) for number in numbers)
        since = min((each.step for each in old if each is not None), default=None)
        return None if since is None else self._seeds.corrected_since(since)

    def _heard(self, results: Iterator[FrameResult | StageProgress], listen: Listener) -> Iterator[FrameResult]:
        done = 0
        for each in results:
            if isinstance(each, StageProgress):
                listen(each.done, each.total)
                continue
            yield each
            done += 1
            listen(done, self._source.info.frame_count)

    def _known(self, frame: int) -> FrameMask:
        return self._found.masks(frame, births=self._seeds.births)


def _as_they_are(results: Iterator[FrameResult]) -> Iterator[tuple[FrameMask, FrameResult]]:
    return ((FrameMask.of(result), result) for result in results)


def _unknown_at(start: int, where: str, seed: int) -> UsageError:
    """Return the error of following from a frame on which, and ``where`` of which, no object is shown."""
    return UsageError(
        f"nothing is known at frame {start}",
        why=f"no object is shown on it or {where} it; the nearest is shown on frame {seed}",
        fix=f"begin at frame {seed}, or show an object",
    )
