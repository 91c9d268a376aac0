"""The passes over a video in which objects are followed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias, get_args

from covos.api.prompts import Prompts
from covos.core.errors import UsageError
from covos.core.types import FrameResult, MaskArray
from covos.engines.backward import Spool
from covos.engines.follow import FollowEngine, Given, Trail
from covos.engines.memory import DEFAULT_BETWEEN, MAX_BETWEEN
from covos.engines.motion import Observed
from covos.masks.frame_mask import FrameMask
from covos.media.source import Source, prefetch

Direction: TypeAlias = Literal["auto", "forward", "backward", "both"]
"""Which way objects are followed from where they are shown; auto goes both ways if one is shown after the first frame
only, or on several frames."""

BLOCK = 24
"""Frames that the backward pass decodes and encodes at a time. A block starts at a key frame of the video, which may
lie far before it: larger blocks decode less, and hold more."""


def choose_direction(asked: Direction, *, frames: Sequence[int]) -> Direction:
    """The direction that is taken: never ``"auto"``.

    Args:
        asked: By the user.
        frames: Indices of those with prompts.

    Raises:
        UsageError: There is no such direction, or no object was shown.
    """
    if asked not in get_args(Direction):
        raise UsageError(
            f"direction {asked!r}", why="there is none of this name", fix=f"use {', '.join(get_args(Direction))}"
        )
    if not frames:
        raise UsageError(
            "there is nothing to follow",
            why="no object was shown",
            fix="give a mask, a point or a box on one of the frames",
        )
    if asked != "auto":
        return asked
    return "forward" if tuple(frames) == (0,) else "both"


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


class ForwardPass:
    """Following forward, again and again: what comes before the first prompt that has changed is not done again.

    Args:
        source: Of the video.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self._frames: tuple[FrameMask, ...] = ()
        self._trail = Trail()
        self._shown: dict[int, tuple[tuple[int, str], ...]] = {}

    def run(self, prompts: Prompts, *, engine: FollowEngine, memory: int) -> tuple[FrameMask, ...]:
        """The masks of all frames, as one pass from the first frame would give them.

        Args:
            prompts: All have their masks.
            engine: The same each time.
            memory: The same each time.
        """
        shown: dict[int, tuple[tuple[int, str], ...]] = {}
        for prompt in prompts.current:
            # With their order: it is that of the objects in the memory.
            shown[prompt.frame] = (*shown.get(prompt.frame, ()), (prompt.object, prompt.sha256))
        count = self.source.info.frame_count
        both = self._shown.keys() | shown.keys()
        changed = min((frame for frame in both if self._shown.get(frame) != shown.get(frame)), default=count)
        # A damaged source gives other frames when it is read from the middle.
        whole = self.source.health.complete and len(self._frames) == count
        start, resumed = (whole and self._trail.back_to(changed)) or (0, None)
        if resumed is None:
            frames, self._trail = engine.eyes.observe(self.source), Trail()
        else:
            wanted = range(start, count)
            pictures = self.source.select(engine.eyes.needed(wanted, frame_count=count))
            frames = engine.eyes.observe(pictures, wanted=wanted)
        results = engine.forward(prefetch(frames), prompts.given(), between=memory, trail=self._trail, resumed=resumed)
        kept = self._frames[:start]
        # Should this be interrupted, nothing is known.
        self._frames, self._shown = (), {}
        self._frames = (*kept, *map(FrameMask.of, results))
        self._shown = shown
        return self._frames


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


def check_memory(count: int) -> None:
    """Refuse a size of the memory that makes no sense.

    Raises:
        UsageError: It is negative or above `MAX_BETWEEN`.
    """
    if not 0 <= count <= MAX_BETWEEN:
        raise UsageError(
            f"memory = {count}",
            why="time and room grow with the remembered frames",
            fix=f"use 0 to {MAX_BETWEEN}; {DEFAULT_BETWEEN} is the default",
        )
