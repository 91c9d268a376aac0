"""Steer the subject of a frame: take away what the user excludes, and keep what he asks for.

Things that were shown on a frame are followed as objects of two kinds, kept and dropped. Following knows the objects
roughly, and the network that finds knows the contours. So a separate part of the subject goes as a whole to the side
that has most of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.types import FrameResult, MaskArray
from covos.engines.find import THRESHOLD, expected_jaccard
from covos.engines.steering_rule import SteeringRule
from covos.masks.distance import distance_to
from covos.masks.scaling import to_size

WHOLE = 0.8
"""Share of a part of the subject from which the rest goes to the side that has so much of it."""
RIM = 0.012
"""Width of the rim that following may miss, as a share of the frame's longer side."""
STRAY = 0.5
"""Share of a part below which, if following has no more of it, the part is on no side."""
SAME_PLACE = 0.5
"""Share of a part that has to lie on a thing of the frame before or after, for the two to be one."""
REACH = 6
"""Frames over which a part is known from its place. So many results are held at a time."""


def steer_results(pairs: Iterable[tuple[FrameResult, FrameResult]], *, rule: SteeringRule) -> Iterator[FrameResult]:
    """Steer the subject of consecutive frames; yield one result for each, in order, a few frames late.

    Following loses things where little of them is to be seen, as where they enter and leave the picture. So a part
    that is on no side goes the way of what lay in its place in the frame before or after, over `REACH` frames at most.

    Args:
        pairs: For each frame the subject as it was found, and the kept and dropped objects as they were followed.
        rule: What becomes of them.

    Yields:
        The result with a probability of 0 where the subject was taken away; elsewhere it stays.
    """
    waiting: deque[_Sides] = deque()
    for found, followed in pairs:
        fresh = _Sides(found, followed, rule)
        if waiting:
            fresh.inherit(waiting[-1])
        waiting.append(fresh)
        for at in range(len(waiting) - 2, -1, -1):
            if not waiting[at].inherit(waiting[at + 1]):
                break
        if len(waiting) > REACH:
            yield waiting.popleft().result()
    for each in waiting:
        yield each.result()


def keep_in_regions(found: FrameResult, *, rule: SteeringRule) -> FrameResult:
    """Take away the subject of a frame outside of a rule's fixed regions."""
    return _without(found, np.zeros_like(found.probability, np.bool_), rule)


def _without(found: FrameResult, gone: MaskArray, rule: SteeringRule) -> FrameResult:
    # Boxes are given in pixels of the source, which this frame may have more or fewer of.
    size = found.frame.source_size or found.frame.size
    gone = gone | to_size(rule.outside(size), found.frame.size)
    probability = np.where(gone, np.float32(0), found.probability)
    mask = probability > THRESHOLD
    return replace(
        found,
        probability=probability,
        labels=mask.astype(np.uint8),
        confidence=expected_jaccard(probability, mask),
    )


class _Sides:
    """The side of each pixel of one frame's subject: kept or dropped."""

    def __init__(self, found: FrameResult, followed: FrameResult, rule: SteeringRule) -> None:
        self._found, self._rule = found, rule
        self._subject = found.probability > THRESHOLD
        kept = np.isin(followed.labels, list(rule.kept))
        self._dropped = np.isin(followed.labels, list(rule.dropped))
        self._default = -1 if rule.only_kept else 1
        self._depth = 0
        count, self._parts, stats, _ = cv2.connectedComponentsWithStats(self._subject.view(np.uint8), connectivity=8)
        self._areas = stats[:, cv2.CC_STAT_AREA]
        parts, areas = self._parts, self._areas
        self.side = self._by_place(kept)
        loose, owned = self._subject & (self.side == 0), np.zeros(count)
        self.side[loose] = self._default
        for side in (1, -1):
            share = np.bincount(parts[(self.side == side) & ~loose], minlength=count) / areas
            # A part that is the other side's by name stays so, however little it is: a ball at a foot.
            self.side[loose & (share >= WHOLE)[parts]] = side
            owned += share
        self._stray = owned < STRAY
        """Of each part, if it is on no side; the first part is what is not the subject."""
        self._stray[0] = False

    def _by_place(self, kept: MaskArray) -> NDArray[np.int8]:
        """Return the sides by what is followed there or near: 1 is kept, -1 is dropped, else 0; H x W int8."""
        subject, dropped = self._subject, self._dropped
        reach = max(2.0, RIM * max(subject.shape))
        to_kept, to_dropped = distance_to(kept), distance_to(dropped)
        loose = subject & ~kept & ~dropped
        # A thing that touches a followed one is thicker than the rim that following misses.
        rim = loose & (distance_to(_thick(loose, reach)) > reach + 1)
        side = np.zeros(subject.shape, np.int8)
        side[rim & (to_dropped <= reach) & (to_dropped < to_kept)] = -1
        side[rim & (to_kept <= reach) & (to_kept <= to_dropped)] = 1
        side[kept], side[dropped], side[~subject] = 1, -1, 0
        return side

    def inherit(self, neighbour: _Sides) -> bool:
        """Give parts that are on no side that of what lies in their place in a neighbour; return true if any was."""
        if not self._stray.any() or neighbour._depth >= REACH or neighbour.side.shape != self.side.shape:
            return False
        other = np.bincount(self._parts[neighbour.side == -self._default], minlength=len(self._areas))
        there = self._stray & (other >= SAME_PLACE * self._areas)
        if not there.any():
            return False
        self.side[there[self._parts]] = -self._default
        self._depth, self._stray = neighbour._depth + 1, self._stray & ~there
        return True

    def result(self) -> FrameResult:
        """Return the frame's result without what is dropped."""
        left, lost = self.side > 0, self.side < 0
        gone = lost | (self._dropped & ~left)
        if self._rule.only_kept and not left.any():
            gone = np.ones_like(lost)
        elif lost.any():
            # The soft border of what goes, where the probability is low, goes with it.
            gone |= ~self._subject & (distance_to(lost) < distance_to(left))
        return _without(self._found, gone, self._rule)


def _thick(mask: MaskArray, reach: float) -> MaskArray:
    """Return the pixels of a mask that are further inside it than a distance, in pixels."""
    # The border of the frame is no contour: beyond it things go on.
    return np.asarray(cv2.distanceTransform(mask.view(np.uint8), cv2.DIST_L2, 3) > reach)
