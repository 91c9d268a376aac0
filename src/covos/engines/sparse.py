"""Follow with frames left out: the networks look at every so manieth, and those between are made of their neighbours.

The pass goes from one frame that is looked at to the next, over those between, along the optical flows put on end. Then
each frame between is made of the two (`covos.engines.between`). If that leaves a doubt, or an object came or went, the
pass is taken back to the frame before, and goes by half the way: it looks at the frame in the middle, too. For some
frames after that it goes no further at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final, NamedTuple, TypeAlias

import cv2
import numpy as np
import torch

from covos.core.ahead import computed
from covos.engines.between import DOUBT, Seen, find_between, is_looked_at
from covos.engines.flow import FlowArray
from covos.engines.follow_pass import FollowPass, FramePrediction
from covos.engines.motion import Observed
from covos.engines.ways import spanned
from covos.models.follow import FollowFeatures

AFTER_DOUBT: Final = 12
"""Frames for which a pass goes by shorter ways after it had to be taken back: that costs a step more."""


class SeenFrame(NamedTuple):
    """A frame with its features in the first view, and in the others; ``mirrored`` says of each if it is a mirror's."""

    observed: Observed
    features: FollowFeatures
    others: tuple[FollowFeatures, ...]
    mirrored: tuple[bool, ...]

    def coming_from(self, flow: FlowArray | None) -> SeenFrame:
        """Return the same frame with another flow to the frame before, in each view; None if it is not known."""
        views = []
        for features, mirrored in zip((self.features, *self.others), self.mirrored, strict=True):
            height, width = features.flow_B2HW.shape[2:]
            own = torch.from_numpy(flow_in(flow, (height, width), mirrored=mirrored)[None])
            views.append(features._replace(flow_B2HW=own.to(features.flow_B2HW.device).permute(0, 3, 1, 2)))
        return SeenFrame(replace(self.observed, flow=flow), views[0], tuple(views[1:]), self.mirrored)


See: TypeAlias = Callable[[Sequence[Observed]], list[SeenFrame]]
"""Encodes frames together."""
Step: TypeAlias = Callable[[FollowPass, SeenFrame], FramePrediction]
"""Follows all objects into the next frame."""


class SparsePass:
    """A pass that leaves frames out, forward or backward in time.

    Args:
        current: The pass; another one once it was taken back.
        see: Encodes frames.
        step: Takes a pass a step on.
        apart: Frames from one that is looked at to the next, 2 or more.
        shown: Frames on which the user shows something: these, and those beside them, are looked at.
        cuts: First frames of shots; the networks look at both ends of each shot.
        first: The first frame that is looked at for its number, less than ``apart``.
        backward: If true, the last frame comes first.
    """

    def __init__(
        self,
        current: FollowPass,
        *,
        see: See,
        step: Step,
        apart: int,
        shown: Collection[int],
        cuts: Collection[int],
        first: int = 0,
        backward: bool = False,
    ) -> None:
        self._current = current
        self._see, self._step = see, step
        self._apart, self._first = apart, first
        self._shown, self._cuts = shown, cuts
        self._backward = backward
        self._before: tuple[Seen, FramePrediction] | None = None
        self._latest: Observed | None = None
        """The latest frame that the pass has gone to, unless no way leads from it."""
        self._way, self._shorter = apart, 0
        """The longest way for now, and for how many frames that is not the usual one."""

    def run(
        self, frames: Iterator[Observed], *, together: int, calls: int
    ) -> Iterator[tuple[Observed, FramePrediction]]:
        """Follow into each frame, in order; yield it with its prediction.

        The looked-at ones of so many frames are encoded together, on so many threads that work ahead. They are the same
        whatever is doubted; further ones are encoded when they are needed.
        """
        left: list[Observed] = []
        batches = iter(lambda: list(islice(frames, max(together, self._apart))), [])
        for batch in computed(batches, self._with_seen, calls=calls):
            for observed, seen in batch:
                before = left[-1] if left else self._latest
                alone = before is None or self._later(before, observed).flow is None  # there is no way over it
                if alone:
                    yield from self._over(left, None)
                    left, self._latest = [], None
                left.append(observed)
                if alone or seen is not None:
                    yield from self._over(left, seen)
                    left = []
        yield from self._over(left, None)

    def _later(self, before: Observed, after: Observed) -> Observed:
        """Return that of two neighbours which is later in time: the flow between them is its own."""
        return before if self._backward else after

    def _with_seen(self, batch: Sequence[Observed]) -> list[tuple[Observed, SeenFrame | None]]:
        seen = self._see(chosen) if (chosen := [each for each in batch if self._is_looked_at(each)]) else []
        known = {each.observed.frame.index: each for each in seen}
        return [(each, known.get(each.frame.index)) for each in batch]

    def _is_looked_at(self, observed: Observed) -> bool:
        """Tell if the networks look at a frame: every so manieth, ends of shots, those beside what the user shows."""
        index = observed.frame.index
        beside = any(at in self._shown for at in (index - 1, index, index + 1))
        return beside or is_looked_at(observed, apart=self._apart, cuts=self._cuts, first=self._first)

    def _over(self, left: list[Observed], last: SeenFrame | None) -> Iterator[tuple[Observed, FramePrediction]]:
        """Go over frames by as long ways as there may be now, to the last, which may be encoded already."""
        while left:
            way = self._way if self._shorter > 0 else self._apart
            part, left = left[:way], left[way:]
            yield from self._go(part, None if left else last)

    def _go(self, way: Sequence[Observed], last: SeenFrame | None) -> Iterator[tuple[Observed, FramePrediction]]:
        """Go over some frames at once to the last of them, or by half the way."""
        *between, end = way
        seen = last or self._see([end])[0]
        earlier = self._current.copy() if between else self._current
        there = seen.coming_from(self._put_on_end(way)) if between or self._backward else seen
        prediction = self._step(self._current, there)
        after = Seen.of(end, prediction.log_odds)
        if between:
            made = None if self._before is None else self._between(*self._before, between, after, prediction)
            if made is None:
                self._current = earlier
                half = len(way) // 2
                self._way, self._shorter = half, len(way) + AFTER_DOUBT - 1
                yield from self._go(way[:half], None)
                yield from self._go(way[half:], seen)
                return
            yield from zip(between, made, strict=True)
        yield end, prediction
        self._before, self._latest = (after, prediction), end
        self._shorter -= len(way)

    def _put_on_end(self, way: Sequence[Observed]) -> FlowArray | None:
        """Return the flow from the last of some frames to the one before the first; None if it is not known."""
        over = way
        if self._backward:
            *between, _ = way
            over = [] if self._latest is None else [*reversed(between), self._latest]
        flows = [each.flow for each in over if each.flow is not None]
        if len(flows) < len(over) or not flows:
            return None
        whole = spanned(flows)[-1]
        # Backward, the flow the other way is about the opposite.
        return -whole if self._backward else whole

    def _between(
        self,
        before: Seen,
        earlier: FramePrediction,
        between: Sequence[Observed],
        after: Seen,
        later: FramePrediction,
    ) -> list[FramePrediction] | None:
        """Predict frames by their neighbours; None if they, or what became of an object, leave a doubt."""
        states = [(each.id, each.state) for each in earlier.objects]
        if states != [(each.id, each.state) for each in later.objects]:
            return None
        if self._backward:
            made = find_between(after, between[::-1], before)
            made = None if made is None else made[::-1]
        else:
            made = find_between(before, between, after)
        if made is None or any(each.doubt > DOUBT for each in made):
            return None
        pairs = zip(earlier.objects, later.objects, strict=True)
        objects = tuple(one if one.confidence <= other.confidence else other for one, other in pairs)
        device = earlier.log_odds.device
        return [
            FramePrediction(index=observed.frame.index, log_odds=found.logits.to(device), objects=objects, between=True)
            for observed, found in zip(between, made, strict=True)
        ]


def flow_in(flow: FlowArray | None, size: tuple[int, int], *, mirrored: bool) -> FlowArray:
    """Return a flow in a view, height x width x 2 in its cells; zero where it is not known."""
    height, width = size
    if flow is None:
        return np.zeros((height, width, 2), np.float32)
    if flow.shape[:2] != size:
        scale = np.array([width / flow.shape[1], height / flow.shape[0]], np.float32)
        flow = cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR) * scale
    return np.ascontiguousarray(flow[:, ::-1] * np.array([-1, 1], np.float32)) if mirrored else flow
