"""Passes over an open video: find its subject, steer it, discover its objects, follow objects through it.

Each function reads a `Source` as often as it must, and gives results a frame at a time. The engines compute; here it is
decided which frames are read, in which order, and in which direction time runs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Generator, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import chain, tee
from typing import Any, TypeAlias, cast

from covos.core.ahead import prefetch
from covos.core.errors import SourceError, UsageError
from covos.core.types import Frame, FrameResult, MaskArray
from covos.engines.apart import Divider
from covos.engines.backward import Spool, as_spooled
from covos.engines.choices import (
    AROUND,
    DEFAULT_FINDING,
    DEFAULT_REFERENCES,
    Cuts,
    Direction,
    Finding,
    choose_direction,
)
from covos.engines.discover import DiscoveredObject, DiscoveryPass, sampled_frames
from covos.engines.encoding import FeaturesT, FrameEncoder, SharedEncoder
from covos.engines.find import FindEngine
from covos.engines.follow import FollowEngine, PassCheckpoints
from covos.engines.follow_pass import FramePrediction
from covos.engines.follow_result import Given, backward_results, results_around
from covos.engines.held import with_held_masks
from covos.engines.motion import Observed
from covos.engines.shot_references import ShotReferences
from covos.engines.shots import Shots, find_shots, one_shot
from covos.engines.stages import StageProgress
from covos.engines.steer import keep_in_regions, steer_results
from covos.engines.steering_rule import SteeringRule
from covos.masks.frame_mask import FrameMask
from covos.masks.rims import without_rims
from covos.masks.scaling import to_size
from covos.media.source import Source

Restore: TypeAlias = Callable[[Frame], FrameResult]
"""Makes the result of a frame that an earlier run has computed."""

AHEAD = 4
"""Frames that wait between two stages of a pass: a batch."""

BACKWARD_BLOCK = 24
"""Frames that the backward pass decodes and encodes at a time. A block starts at a key frame of the video, which may
lie far before it: larger blocks decode less, and hold more."""


def find_subject(
    source: Source,
    engine: FindEngine[Any],
    *,
    finding: Finding = DEFAULT_FINDING,
    shots: Shots | None = None,
    known: Iterable[Restore] = (),
    wanted: Collection[int] | None = None,
    kept: dict[int, Observed] | None = None,
) -> Iterator[FrameResult]:
    """Segment the subject of a video, a frame at a time, at constant memory.

    Args:
        source: Read twice: all frames, and beside them the references that were not ``kept``.
        engine: Runs the network, in the views of its quality (`FindEngine.at`).
        finding: References, their fusion, and the refinement.
        shots: From `look_for_cuts`; None takes the video as one shot.
        known: Results of the first frames, which are not computed again. Their number must be a multiple of the
            engine's batch for the others to come out as in one run.
        wanted: Indices of the frames to segment, ascending; None takes all.
        kept: References that need not be read (see `covos.engines.shot_references.ShotReferences`).

    Returns:
        An iterator over one result for each wanted frame that is decoded, in order.

    Raises:
        UsageError: The network cannot do this fusion. Raised at once, not by the iterator.
    """
    own = FindPass(source, engine, finding=finding, shots=shots)

    def results() -> Iterator[FrameResult]:
        with closing(own.references(kept)) as references:
            encoder = own.engine.encoder
            # A frame that is made of its neighbours needs them all.
            if wanted is None or own.engine.apart > 1:
                frames = observed(source, encoder)
            else:
                needed = with_those_around(wanted, own.engine, count=source.info.frame_count)
                frames = prefetch(encoder.select(source, needed))
            yield from own.restored(frames, known)
            for result in own.found(frames, references):
                if wanted is None or result.frame.index in wanted:
                    yield result

    return results()


class FindPass:
    """A pass that finds the subject of a video. A wrong setting is refused when it is made, before a frame is read.

    Args:
        source: The video.
        engine: Runs the network, in the views of its quality.
        finding: References, their fusion, and the refinement.
        shots: From `look_for_cuts`; None takes the video as one shot.

    Attributes:
        engine: The same, for this video: it knows the cuts, or that this is a single picture.
        shots: The shots of the video.
        fusion: The way in which references are used.

    Raises:
        UsageError: The network cannot do this fusion.
    """

    def __init__(self, source: Source, engine: FindEngine[Any], *, finding: Finding, shots: Shots | None) -> None:
        self.fusion = engine.check_fusion(finding.fusion)
        self.shots = shots or one_shot(source)
        self.engine = engine.cut_at(self.shots.cuts) if source.info.frame_count > 1 else engine.of_picture()
        self._source, self._finding = source, finding
        self._before = deque[Observed](maxlen=self.engine.in_whole_batches(self.engine.around))
        """Frames that those after the known ones are brought together with, in whole batches."""

    def references(self, kept: dict[int, Observed] | None = None) -> ShotReferences[Any]:
        """Return what gives each frame its references, but for those that are kept; the first are read at once."""
        count, seed = self._finding.references, self._finding.reference_seed
        return references_of(self._source, self.engine, self.shots, references=count, seed=seed, kept=kept)

    def restored(self, frames: Iterator[Observed], known: Iterable[Restore]) -> Iterator[FrameResult]:
        """Give the results of the first frames as they are known; these frames are taken off.

        Raises:
            SourceError: There are fewer frames than known results.
        """
        for restore in known:
            observed = next(frames, None)
            if observed is None:
                raise SourceError(
                    f"{self._source.info.path} gives fewer frames than in the run before",
                    why="it was changed, or the disk or network that it is on failed",
                    fix="put it back as it was, or start anew with -y (overwrite=True)",
                )
            self._before.append(observed)
            yield restore(observed.frame)

    def found(self, frames: Iterator[Observed], references: ShotReferences[Any]) -> Iterator[FrameResult]:
        """Find the subject in the frames after those."""
        known, refine = len(self._before), self._finding.refine
        onward = chain(_emptied(self._before), frames)
        return self.engine.stream(onward, references, fusion=self.fusion, refine=refine, known=known)


def _emptied(frames: deque[Observed]) -> Iterator[Observed]:
    """Give frames, each of which is then kept no longer."""
    while frames:
        yield frames.popleft()


def with_those_around(wanted: Collection[int], engine: FindEngine[Any], *, count: int) -> tuple[int, ...]:
    """Return frames, and those that they are brought together with, of so many frames of a video, ascending.

    Whole batches stay so: a frame that is computed in other company may round otherwise.
    """
    batch = engine.encoder.batch
    whole = {at for each in wanted for at in range(each // batch * batch, min(count, (each // batch + 1) * batch))}
    reach = engine.in_whole_batches(engine.around) if whole == {*wanted} else engine.around
    near = {at for each in wanted for at in range(each - reach, each + reach + 1)}
    return tuple(sorted(at for at in near if 0 <= at < count))


def look_for_cuts(
    source: Source, cuts: Cuts, *, see: Callable[[Frame], None] | None = None
) -> Generator[StageProgress, None, Shots]:
    """Look through a video for its cuts, if that is wanted: yield progress, return the shots.

    ``see`` is shown each frame that is looked at.
    """
    count = source.info.frame_count
    if cuts == "off" or count == 1:
        return one_shot(source)
    looking = find_shots(source, see=see)
    while True:
        try:
            yield StageProgress(stage="cuts", done=next(looking), total=count)
        except StopIteration as end:
            shots: Shots = end.value
            return shots


def observed(source: Source, encoder: FrameEncoder[Any], *, start: int = 0) -> Iterator[Observed]:
    """Read a source from its beginning and observe its frames, from one on, ahead of who asks for them.

    One thread decodes, and another finds what moves, while the network works on earlier frames.
    """
    frames: Iterator[Frame] = prefetch(source, depth=AHEAD)
    if start:  # the frame before it is needed for the motion
        frames = (frame for frame in frames if frame.index >= start - 1)
    every: Iterator[Observed] = prefetch(encoder.observe(frames), depth=AHEAD)
    return (each for each in every if each.frame.index >= start) if start else every


def references_of(
    source: Source,
    engine: FindEngine[FeaturesT],
    shots: Shots,
    *,
    references: int = DEFAULT_REFERENCES,
    seed: int | None = None,
    kept: dict[int, Observed] | None = None,
) -> ShotReferences[FeaturesT]:
    """Return what gives each frame its references; the first are read at once.

    They are read before a full pass begins, whatever is known of the first frames: on a damaged source, what a
    selection gives depends on it.
    """
    remembered = ShotReferences(source, engine, shots.spans(references, seed=seed), kept=kept)
    remembered(0)
    return remembered


def steer_subject(
    source: Source,
    engine: FindEngine[Any],
    rule: SteeringRule,
    *,
    follower: FollowEngine | None,
    given: Given,
    memory: int,
    finding: Finding = DEFAULT_FINDING,
    shots: Shots | None = None,
    known: Iterable[Restore] = (),
) -> Iterator[FrameResult | StageProgress]:
    """Segment the subject of a video and steer it, a frame at a time, at constant memory.

    The pass that finds and the pass that follows read the frames once, and share what the encoder makes of them.

    Args:
        source: Read for the references, backward if anything is shown after the first frame, and then once.
        engine: Finds the subject.
        rule: What is taken away from it.
        follower: Follows what the rule names; None if that is nothing.
        given: Masks of what is followed.
        memory: See `covos.engines.memory`.
        finding: See `find_subject`, here and for what comes after.
        shots: As there.
        known: As there. Not used where anything is followed: its memory must come to hold what it held.
    """
    begun = FindPass(source, engine, finding=finding, shots=shots)
    finder, references, cuts = begun.engine, begun.references(), begun.shots.cuts
    if follower is None or not rule.follows:
        frames = observed(source, finder.encoder)
        yield from begun.restored(frames, known)
        for result in begun.found(frames, references):
            yield keep_in_regions(result, rule=rule)
        return
    # Before a first result can be given, both have read the frames around it, and following has done so first.
    encoder = SharedEncoder(follower.encoder.cut_at(cuts), ahead=AROUND)
    own = follower.cut_at(cuts)
    if finder.encoder.area == encoder.area:
        finder = FindEngine(encoder, others=finder.encoders[1:], around=finder.around, in_turn=finder.in_turn)
        own = own.within(lambda index: references(index)[:1])
    following = own.beside(encoder)
    with Spool() as spool:
        if choose_direction("auto", frames=sorted(given)) != "forward":
            yield from follow_back(source, own, given, memory=memory, spool=spool)
        one, other = tee(observed(source, encoder))
        # Following goes first: of each batch it encodes all frames, and finding takes those that it has not yet.
        followed = following.forward(other, given, memory=memory, spool=spool, ahead=False)
        found = finder.stream(one, references, fusion=begun.fusion, refine=finding.refine, ahead=False)
        both = zip(followed, found, strict=True)
        yield from steer_results(((result, beside) for beside, result in both), rule=rule)


def discover_objects(
    source: Source,
    engine: FollowEngine,
    *,
    most: int,
    references: int,
    memory: int,
    shots: Shots,
    divider: Divider | None = None,
) -> Generator[StageProgress, None, tuple[DiscoveredObject, ...]]:
    """Look through a video for at most ``most`` objects that are worth following: yield progress, return the objects.

    A few frames a second are sampled, and each is compared with ``references`` frames that are spread over its shot.
    The divider tells things that touch apart.
    """
    engine = engine.cut_at(shots.cuts)
    encoder, sampled = engine.encoder, sampled_frames(source.info.frame_count)
    remembered = references_of(source, engine.finder, shots, references=references)
    discovery = DiscoveryPass(engine, remembered, most=most, memory=memory, divider=divider)
    for done, _ in enumerate(discovery.run(prefetch(encoder.select(source, sampled))), 1):
        yield StageProgress(stage="discover", done=done, total=len(sampled))
    return discovery.found()


def unknown_at(start: int, where: str, seed: int) -> UsageError:
    """Return the error of following from a frame on which, and ``where`` of which, no object is shown."""
    return UsageError(
        f"nothing is known at frame {start}",
        why=f"no object is shown on it or {where} it; the nearest is shown on frame {seed}",
        fix=f"begin at frame {seed}, or show an object",
    )


def follow_objects(
    source: Source,
    engine: FollowEngine,
    given: Given,
    *,
    memory: int,
    direction: Direction,
    found: Collection[int] = (),
) -> Iterator[FrameResult | StageProgress]:
    """Follow objects from the frames that they are given on to all frames.

    The backward pass, if there is one, comes before the first result. Its predictions wait in a temporary file. No
    object lies round another as a rim, but on the frames that are given.

    Args:
        source: Read once in each direction.
        engine: Runs the networks.
        given: Masks on at least one frame; with direction ``"forward"``, on none gives frames without objects.
        memory: See `covos.engines.memory`.
        direction: From `choose_direction`; not ``"auto"``.
        found: Ids of the objects that nobody drew (see `covos.masks.rims`).
    """
    for each in _follow_all(source, engine, given, memory=memory, direction=direction):
        if isinstance(each, StageProgress) or each.frame.index in given:
            yield each
        else:
            yield replace(each, labels=without_rims(each.labels, found=found))


def _follow_all(
    source: Source, engine: FollowEngine, given: Given, *, memory: int, direction: Direction
) -> Iterator[FrameResult | StageProgress]:
    encoder = engine.encoder
    if direction == "forward":
        yield from engine.forward(observed(source, encoder), given, memory=memory)
        return
    with Spool() as spool:
        yield from follow_back(source, engine, given, memory=memory, spool=spool)
        if direction == "backward":
            yield from backward_results(observed(source, encoder), given, spool=spool)
        else:
            yield from engine.forward(observed(source, encoder), given, memory=memory, spool=spool)


def follow_back(
    source: Source, engine: FollowEngine, given: Given, *, memory: int, spool: Spool, start: int = 0
) -> Iterator[StageProgress]:
    """Follow objects from the last frame that is given towards the first, or to ``start``; keep what is predicted."""
    last = max(given)
    predicted = engine.backward(_blocks(source, engine, last=last, stop=start - 1), given, memory=memory)
    with closing(cast("Generator[Any, None, None]", predicted)):
        for done, (observed, prediction) in enumerate(predicted, 1):
            if observed.frame.index < start:
                return
            spool.put(prediction)
            yield StageProgress(stage="backward", done=done, total=last + 1 - start)


def follow_backward(
    source: Source, engine: FollowEngine, given: Given, *, memory: int, stop: int = -1
) -> Iterator[FrameResult]:
    """Follow objects towards the first frame, and give the results as they come, the last frame first.

    The pass begins at the last frame with a mask. ``stop`` is the frame at which it ends, itself left out.
    """
    # Those before the last wanted ones are brought together with them.
    end = max(stop - AROUND, -1)

    def predicted() -> Iterator[tuple[Observed, FramePrediction]]:
        for each, prediction in engine.backward(
            _blocks(source, engine, last=max(given), stop=end), given, memory=memory
        ):
            if each.frame.index <= end:
                return
            # Rounded as in the file: so a part is what the whole pass gives.
            yield each, as_spooled(prediction)

    for result in results_around(predicted(), given):
        if result.frame.index > stop:
            yield result


def _blocks(source: Source, engine: FollowEngine, *, last: int, stop: int = -1) -> Iterator[Sequence[Observed]]:
    """Read the frames up to the last that was given, the last block first, down to the one that holds ``stop``."""
    for start in range(last // BACKWARD_BLOCK * BACKWARD_BLOCK, -1, -BACKWARD_BLOCK):
        if start + BACKWARD_BLOCK <= stop + 1:
            return
        wanted = range(start, min(start + BACKWARD_BLOCK, last + 1))
        yield list(engine.encoder.select(source, wanted))


def follow_to(
    source: Source, engine: FollowEngine, given: Given, *, frame: int, object_id: int, memory: int
) -> MaskArray | None:
    """Follow objects forward to one frame; return an object's mask there, H x W bool of the source's size.

    None if the object was not given before, or is not found there. Masks of the frame and of later ones are not
    looked at.
    """
    earlier = {index: masks for index, masks in given.items() if index < frame}
    if not any(object_id in masks for masks in earlier.values()):
        return None
    # Frames before the first mask are not looked at: nothing is followed there.
    frames = range(min(earlier), min(frame + AROUND + 1, source.info.frame_count))
    results = engine.forward(prefetch(engine.encoder.select(source, frames)), earlier, memory=memory)
    there = next((result for result in results if result.frame.index == frame), None)
    mask = None if there is None else to_size(there.labels == object_id, there.frame.source_size or there.frame.size)
    return mask if mask is not None and mask.any() else None


class IncrementalPass:
    """Follows forward again and again: what comes before the first prompt that has changed is not done again."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._frames: tuple[FrameMask, ...] = ()
        self._checkpoints = PassCheckpoints()
        self._fingerprints: Mapping[int, Hashable] = {}
        self._engine: FollowEngine | None = None

    def run(
        self, engine: FollowEngine, given: Given, *, fingerprints: Mapping[int, Hashable], memory: int
    ) -> tuple[FrameMask, ...]:
        """Return the masks of all frames, as one pass from the first frame would give them.

        The memory is the same each time; by another engine, all frames are followed again. ``fingerprints`` has for
        each frame with masks a value that equals that of another run only if its masks are the same, of the same
        objects in the same order.
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
        fresh = (result for result in with_held_masks(results) if result.frame.index >= first)
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
