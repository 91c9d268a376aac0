"""The pass that finds the subject of an open video, follows what was shown beside it, and steers it by that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import tee
from typing import Any

from covos.core.ahead import prefetch
from covos.core.types import FrameResult
from covos.engines.backward import Spool
from covos.engines.choices import AROUND, DEFAULT_FINDING, Finding, choose_direction
from covos.engines.encoding import FrameEncoder, SharedEncoder
from covos.engines.find import FindEngine
from covos.engines.find_passes import AHEAD, FindPass, Restore, observed
from covos.engines.follow import FollowEngine
from covos.engines.follow_passes import follow_back
from covos.engines.follow_result import Given
from covos.engines.kept import KeptEncoder
from covos.engines.motion import Observed
from covos.engines.shots import Shots
from covos.engines.stages import StageProgress
from covos.engines.steer import keep_in_regions, steer_results
from covos.engines.steering_rule import SteeringRule
from covos.media.source import Source


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
    looks: KeptEncoder | None = None,
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
        looks: Is shown each frame as it is read, for what follows the steered subject.
    """
    begun = FindPass(source, engine, finding=finding, shots=shots)
    finder, references, cuts = begun.engine, begun.references(), begun.shots.cuts
    if follower is None or not rule.follows:
        frames = _observed(source, finder.encoder, looks)
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
        one, other = tee(_observed(source, encoder, looks))
        # Following goes first: of each batch it encodes all frames, and finding takes those that it has not yet.
        followed = following.forward(other, given, memory=memory, spool=spool, ahead=False)
        found = finder.stream(one, references, fusion=begun.fusion, refine=finding.refine, ahead=False)
        both = zip(followed, found, strict=True)
        yield from steer_results(((result, beside) for beside, result in both), rule=rule)


def _observed(source: Source, encoder: FrameEncoder[Any], looks: KeptEncoder | None) -> Iterator[Observed]:
    if looks is None:
        return observed(source, encoder)
    return prefetch(_observed_by_both(source, encoder, looks), depth=AHEAD)


def _observed_by_both(source: Source, encoder: FrameEncoder[Any], looks: KeptEncoder) -> Iterator[Observed]:
    """Observe frames that are read once, at the size of each: what moves is not the same in another size."""
    with closing(prefetch(source, depth=AHEAD)) as frames:
        one, other = tee(frames)
        for each, larger in zip(encoder.observe(one), looks.observe(other), strict=True):
            looks.show(larger)
            yield each
