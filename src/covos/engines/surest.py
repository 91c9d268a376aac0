"""Find the subject of a video, then follow it from the frames in which it was found most surely.

The network that finds takes each frame for itself, beside its references. If the subject looks unlike the rest of
the video, or something else moves too, it is unsure. The network that follows knows where the subject was a frame ago.
So the two see different things, and err in different frames. Here the subject is found in a stretch of a shot. It is
followed both ways from the surest of these frames, as if a user had shown it there. The answer is the mean of the two
logits.

A stretch is looked at for itself. Memory and the temporary file stay as small, whatever the length, and a run that was
stopped goes on at the stretch that it was in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from itertools import islice, pairwise
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from covos.core.ahead import prefetch
from covos.core.types import Frame, FrameResult, MaskArray, ProbabilityArray
from covos.engines.backward import Spool
from covos.engines.choices import (
    DEFAULT_FINDING,
    DEFAULT_MEMORY,
    FOUND_FOLLOWED_IN,
    SMALL,
    SMALL_FOUND_FOLLOWED_IN,
    SUBJECT,
    VIEWS,
    Finding,
)
from covos.engines.encoding import sigmoid
from covos.engines.find import THRESHOLD, FindEngine, subject_of, uncomputed
from covos.engines.find_passes import AHEAD, FindPass, Restore, observed, references_of
from covos.engines.follow import FollowEngine
from covos.engines.follow_pass import FramePrediction
from covos.engines.follow_passes import blocks_back, followed_back
from covos.engines.follow_result import Given
from covos.engines.kept import KeptEncoder
from covos.engines.motion import Observed
from covos.engines.refining import fitted_by_crf
from covos.engines.shots import Shots, equal_bounds
from covos.engines.stages import StageProgress
from covos.media.source import Source
from covos.models.choices import Refinement

STRETCH: Final = 96
"""Frames, about four seconds, that are looked at together, at most."""
PART: Final = 32
"""Frames of a stretch of which one is a seed, at least."""
SURE: Final = 0.75
"""Confidence, an expected J, below which a frame is no seed: what was found there may be anything."""
LESS_SURE: Final = 0.1
"""A frame is no seed either if another of its stretch is so much surer."""
LOUDEST: Final = 6.0
"""Logit beyond which neither network is heard louder."""


class _Seed(NamedTuple):
    """The surest frame of a part: its index, the confidence, and the mask that was found."""

    frame: int
    confidence: float
    mask: MaskArray


def stretches_of(shots: Shots) -> tuple[range, ...]:
    """Divide shots into equal stretches of at most `STRETCH` frames, in order."""
    return tuple(stretch for shot in shots.each for stretch in _equal_parts(shot, most=STRETCH))


def _equal_parts(frames: range, *, most: int) -> tuple[range, ...]:
    bounds = equal_bounds(frames, -(-len(frames) // most)) if frames else []
    return tuple(range(start, stop) for start, stop in pairwise(bounds))


class SeedChoice:
    """Chooses the frames of a stretch from which its subject is followed, while they go by."""

    def __init__(self, stretch: range) -> None:
        self._parts = _equal_parts(stretch, most=PART)
        self._best: dict[range, _Seed] = {}

    def see(self, result: FrameResult) -> None:
        """Take the next result."""
        index, confidence = result.frame.index, result.confidence
        if not confidence >= SURE or result.frame.status == "unreadable":  # what was not computed is no number
            return
        part = next(each for each in self._parts if index in each)
        before = self._best.get(part)
        if before is not None and before.confidence >= confidence:
            return
        mask = result.probability > THRESHOLD
        if mask.any():
            self._best[part] = _Seed(index, confidence, mask)

    def given(self) -> Given:
        """Return the seeds, as a user would show them; none if nothing was found surely."""
        surest = max((each.confidence for each in self._best.values()), default=0.0)
        sure = (each for each in self._best.values() if each.confidence > surest - LESS_SURE)
        return {each.frame: {SUBJECT: each.mask} for each in sure}


def find_and_follow(
    source: Source,
    engine: FindEngine[Any],
    follower: FollowEngine,
    *,
    memory: int = DEFAULT_MEMORY,
    finding: Finding = DEFAULT_FINDING,
    shots: Shots | None = None,
    known: Iterable[Restore] = (),
    resumed: int = 0,
    kept: dict[int, Observed] | None = None,
) -> Iterator[FrameResult | StageProgress]:
    """Segment the subject of a video: find it, follow it from the surest frames, and take the mean of both.

    The results of a stretch come after all of it was found and followed backward. Progress is yielded meanwhile.

    Args:
        source: Read for the references, once to find, and once to give the results.
        engine: Finds the subject. The frames that it looks at in the view in which the subject is followed are not
            encoded again.
        follower: Follows it, in the view `covos.engines.choices.FOUND_FOLLOWED_IN`.
        memory: See `covos.engines.memory`.
        finding: See `covos.engines.find_passes.find_subject`, here and for what comes after. The mean is what is
            refined.
        shots: As there.
        known: As there.
        resumed: The number of the known.
        kept: As there.

    Returns:
        An iterator over one result for each frame that is decoded, in order, and over what it waits for.

    Raises:
        UsageError: See `covos.engines.find_passes.find_subject`. Raised at once, not by the iterator.
    """
    own = FindPass(source, engine, finding=replace(finding, refine="none"), shots=shots)
    shots = own.shots
    looks = looks_of(follower, shots)
    finder = own.engine = own.engine.sharing(looks)

    def results() -> Iterator[FrameResult | StageProgress]:
        with closing(own.references(kept)) as references:
            restored = iter(known)
            start = next((each.start for each in stretches_of(shots) if each.stop > resumed), shots.frame_count)
            batch = finder.encoder.batch
            frames = observed(source, finder.encoder, show=partial(_show, looks, start=start))
            yield from own.restored(frames, islice(restored, start // batch * batch))
            found = own.found(frames, references)
            for result in islice(found, start % batch):  # found again, for those after them to be as they were
                yield next(restored)(result.frame)
            following = _Following(source, follower, looks, shots=shots, memory=memory)
            for each in following.through(found, start=start):
                if isinstance(each, StageProgress):
                    yield each
                elif (restore := next(restored, None)) is not None:
                    yield restore(each.frame)
                else:
                    yield refined_mean(each, finding.refine, engine=finder)

    return results()


def follow_found(
    source: Source,
    found: Iterator[FrameResult | StageProgress],
    follower: FollowEngine,
    *,
    looks: KeptEncoder,
    shots: Shots,
    memory: int = DEFAULT_MEMORY,
) -> Iterator[FrameResult | StageProgress]:
    """Follow a subject that was found from its surest frames, and give the mean of both.

    Args:
        source: Read for the references, and once to give the results.
        found: The subject as it was found, from the first frame on; and progress, which is passed on. It shows each
            frame to ``looks`` before it gives the result.
        follower: See `find_and_follow`, here and for what comes after.
        looks: From `looks_of`.
        shots: The shots of the source.
        memory: As there.

    Yields:
        One result for each frame that was found, in order, and how far the stages before it are.
    """
    yield from _Following(source, follower, looks, shots=shots, memory=memory).through(found)


def looks_of(follower: FollowEngine, shots: Shots) -> KeptEncoder:
    """Return what keeps the frames of a stretch, in the view in which a subject that was found is followed."""
    return KeptEncoder(follower.seeing(FOUND_FOLLOWED_IN).cut_at(shots.cuts).encoder)


def _show(looks: KeptEncoder, observed: Observed, *, start: int) -> None:
    if observed.frame.index >= start:
        looks.show(observed)


class _Following:
    """Follows a subject that was found, stretch by stretch.

    Args:
        source: Read once to give the results, and for the references. If the subject of a stretch is small, it is
            read to follow backward, too.
        follower: Follows the subject.
        looks: Keeps the frames of a stretch.
        shots: The shots of the source.
        memory: See `covos.engines.memory`.
    """

    def __init__(
        self,
        source: Source,
        follower: FollowEngine,
        looks: KeptEncoder,
        *,
        shots: Shots,
        memory: int,
    ) -> None:
        # The frames that were found in the last of the views, which take turns.
        apart = len(VIEWS["best"])
        larger = follower.seeing(SMALL_FOUND_FOLLOWED_IN).cut_at(shots.cuts)
        self._usual, self._larger = (
            each.looking(apart=apart, first=apart - 1) for each in (follower.beside(looks), larger)
        )
        self._source, self._looks, self._shots, self._memory = source, looks, shots, memory

    def through(
        self,
        found: Iterator[FrameResult | StageProgress],
        *,
        start: int = 0,
    ) -> Iterator[FrameResult | StageProgress]:
        """Give the mean of what is found and what is followed, from a frame on with which a stretch begins."""
        frames: Iterator[Frame] = (each for each in prefetch(self._source, depth=AHEAD) if each.index >= start)
        with ExitStack() as stack:
            usual = references_of(self._source, self._usual.finder, self._shots)
            # Most videos have no small subject.
            at_once = not self._source.health.complete
            larger = references_of(self._source, self._larger.finder, self._shots, at_once=at_once)
            self._usual = self._usual.within(stack.enter_context(closing(usual)))
            self._larger = self._larger.within(stack.enter_context(closing(larger)))
            for stretch in stretches_of(self._shots):
                if stretch.start >= start:
                    yield from self._in_stretch(stretch, found, frames)
                    self._looks.forget(before=stretch.stop)
        yield from found  # a source that gives more frames than it promised is found to its end

    def _in_stretch(
        self,
        stretch: range,
        found: Iterator[FrameResult | StageProgress],
        frames: Iterator[Frame],
    ) -> Iterator[FrameResult | StageProgress]:
        """Take the frames of a stretch from the pass that finds; yield one result for each, after progress.

        What was found waits in a temporary file for what is followed.
        """
        count, choice = len(stretch), SeedChoice(stretch)
        with Spool() as waiting, Spool() as backward:
            done = 0
            while done < count and (result := next(found, None)) is not None:
                if isinstance(result, StageProgress):
                    yield result
                    continue
                choice.see(result)
                if not np.isnan(result.confidence):  # else it was not computed
                    logit = _logit(result.probability)
                    waiting.put(FramePrediction(index=result.frame.index, log_odds=logit[None], objects=()))
                done += 1
                yield StageProgress(stage="find", done=done, total=count)
            given = choice.given()
            if not given:
                for frame in islice(frames, count):
                    yield _found_at(frame, waiting)
                return
            before = range(stretch.start, max(given) + 1)
            if min(mask.mean() for masks in given.values() for mask in masks.values()) < SMALL:
                engine = self._larger
                blocks: Iterable[Sequence[Observed]] = blocks_back(self._source, engine, before)
            else:
                engine = self._usual
                blocks = [[each for index in before if (each := self._looks.shown(index)) is not None]]
            yield from followed_back(blocks, engine, given, memory=self._memory, spool=backward, total=len(before))
            onward = map(self._looks.recalled, islice(frames, count))
            for followed in engine.forward(onward, given, memory=self._memory, spool=backward):
                yield _mean(followed, waiting)


def _logit(probability: ProbabilityArray) -> Tensor:
    return torch.logit(torch.from_numpy(probability), eps=1e-6)


def _found_at(frame: Frame, waiting: Spool) -> FrameResult:
    """Return the result of a frame as it was found."""
    found = waiting.get(frame.index)
    return uncomputed(frame) if found is None else subject_of(frame, sigmoid(found.log_odds[0].numpy()))


def _mean(followed: FrameResult, waiting: Spool) -> FrameResult:
    """Return the mean of what was followed and what was found; of an object that is out of sight, what was found."""
    found = waiting.get(followed.frame.index)
    if found is None:
        return subject_of(followed.frame, followed.probability)
    in_sight = any(each.state == "present" for each in followed.objects)
    if np.isnan(followed.probability).any() or not in_sight:
        return _found_at(followed.frame, waiting)
    one, other = (each.clamp(-LOUDEST, LOUDEST) for each in (found.log_odds[0], _logit(followed.probability)))
    return subject_of(followed.frame, sigmoid(((one + other) / 2).numpy()))


def refined_mean(result: FrameResult, refine: Refinement, *, engine: FindEngine[Any]) -> FrameResult:
    """Fit a mean to the picture, if that is wanted."""
    if refine != "crf":
        return result
    probability = fitted_by_crf(result.frame.image, result.probability, device=engine.encoder.device)
    # The confidence stays that of the networks: a CRF's marginals are near 0 and 1 whether they are right or not.
    return replace(result, probability=probability, labels=(probability > THRESHOLD).astype(np.uint8))
