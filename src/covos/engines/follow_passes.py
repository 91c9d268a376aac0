"""Passes that follow objects through an open video, onward and back in time."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any, cast

from covos.core.ahead import prefetch
from covos.core.types import FrameResult, MaskArray
from covos.engines.backward import Spool, as_spooled
from covos.engines.choices import AROUND, Direction
from covos.engines.find_passes import observed
from covos.engines.follow import FollowEngine
from covos.engines.follow_pass import FramePrediction
from covos.engines.follow_result import Given, backward_results, results_around, with_labels
from covos.engines.motion import Observed
from covos.engines.stages import StageProgress
from covos.masks.rims import without_rims
from covos.masks.scaling import to_size
from covos.media.source import Source

BACKWARD_BLOCK = 24
"""Frames that the backward pass decodes and encodes at a time. A block starts at a key frame of the video, which may
lie far before it: larger blocks decode less, and hold more."""


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
            labels = without_rims(each.labels, found=found)
            yield each if labels is each.labels else with_labels(each, labels)


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
    source: Source, engine: FollowEngine, given: Given, *, memory: int, spool: Spool
) -> Iterator[StageProgress]:
    """Follow objects from the last frame that is given to the first of the source; keep what is predicted."""
    last = max(given)
    yield from followed_back(
        blocks_back(source, engine, range(last + 1)), engine, given, memory=memory, spool=spool, total=last + 1
    )


def followed_back(
    blocks: Iterable[Sequence[Observed]],
    engine: FollowEngine,
    given: Given,
    *,
    memory: int,
    spool: Spool,
    total: int,
) -> Iterator[StageProgress]:
    """Follow objects backward through so many frames, the last block of them first; keep what is predicted."""
    predicted = engine.backward(blocks, given, memory=memory)
    with closing(cast("Generator[Any, None, None]", predicted)):
        for done, (_, prediction) in enumerate(predicted, 1):
            spool.put(prediction)
            yield StageProgress(stage="backward", done=done, total=total)


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
            blocks_back(source, engine, range(end + 1, max(given) + 1)), given, memory=memory
        ):
            # Rounded as in the file: so a part is what the whole pass gives.
            yield each, as_spooled(prediction)

    for result in results_around(predicted(), given):
        if result.frame.index > stop:
            yield result


def blocks_back(source: Source, engine: FollowEngine, frames: range) -> Iterator[Sequence[Observed]]:
    """Read frames of a source, in blocks of which the last one comes first."""
    first, last = (index // BACKWARD_BLOCK * BACKWARD_BLOCK for index in (frames.start, frames.stop - 1))
    for start in range(last, first - 1, -BACKWARD_BLOCK):
        wanted = range(max(start, frames.start), min(start + BACKWARD_BLOCK, frames.stop))
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
