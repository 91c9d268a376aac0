"""The passes over a video in which objects are followed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

from covos.engines.follow import FollowEngine, Given
from covos.engines.motion import Observed
from covos.engines.spool import Spool
from covos.media import Source, prefetch
from covos.types import FrameResult, MaskArray

Direction: TypeAlias = Literal["auto", "forward", "backward", "both"]
"""Which way objects are followed from where they are shown; auto goes both ways if one is shown after the first frame
only, or on several frames."""

BLOCK = 24
"""Frames that the backward pass decodes and encodes at a time. A block starts at a key frame of the video, which may
lie far before it: larger blocks decode less, and hold more."""


def follow(
    source: Source, given: Given, *, engine: FollowEngine, memory: int, direction: Direction
) -> Iterator[FrameResult]:
    """Follow what was given to all frames.

    The backward pass, if there is one, comes before the first result. Its answers wait in a temporary file.

    Args:
        source: Read once in each direction.
        given: On at least one frame.
        engine: Runs the networks.
        memory: See `covos.engines.memory`.
        direction: Not ``"auto"``.
    """
    eyes = engine.eyes
    if direction == "forward":
        yield from engine.forward(prefetch(eyes.observe(source)), given, between=memory)
        return
    with Spool() as spool:
        engine.backward(_blocks(source, engine, last=max(given)), given, between=memory, spool=spool)
        if direction == "backward":
            yield from engine.told(prefetch(source), given, spool=spool)
        else:
            yield from engine.forward(prefetch(eyes.observe(source)), given, between=memory, spool=spool)


def follow_to(
    source: Source, frame: int, identity: int, given: Given, *, engine: FollowEngine, memory: int
) -> MaskArray | None:
    """The mask of an object on one frame, followed forward from the frames before it.

    Returns:
        H x W bool; None if it was not given before, or is not found there.
    """
    earlier = {index: masks for index, masks in given.items() if index < frame}
    if not any(identity in masks for masks in earlier.values()):
        return None
    # What comes before the first mask is not looked at: nothing is followed there.
    frames = range(min(earlier), frame + 1)
    pictures = source.select(engine.eyes.needed(frames, frame_count=source.info.frame_count))
    results = engine.forward(prefetch(engine.eyes.observe(pictures, wanted=frames)), earlier, between=memory)
    mask = next((result.labels == identity for result in results if result.frame.index == frame), None)
    return mask if mask is not None and mask.any() else None


def _blocks(source: Source, engine: FollowEngine, *, last: int) -> Iterator[Sequence[Observed]]:
    """The frames up to the last that was given, the last block first."""
    for start in range(last // BLOCK * BLOCK, -1, -BLOCK):
        wanted = range(start, min(start + BLOCK, last + 1))
        pictures = source.select(engine.eyes.needed(wanted, frame_count=source.info.frame_count))
        yield list(engine.eyes.observe(pictures, wanted=wanted))
