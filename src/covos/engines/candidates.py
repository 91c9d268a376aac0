"""Candidates: the things that were found in a video, told apart, and the choice of those that are worth following.

The functions on masks work on small maps, at stride 2 of the encoded frame.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.types import MaskArray

if TYPE_CHECKING:
    from torch import Tensor

Appearance = NDArray[np.float32]
"""Mean key of a thing, K float32 of length 1: what it looks like to the network."""

ANCHORS = 3
"""Frames, at most, on which a thing is shown to the engine that follows it."""
CONFIRMED = 3
"""Sampled frames in which a thing must be found anew, by itself, to be believed."""
BELIEVED = 0.25
"""Share of the sampled frames that a thing is followed into in which it must be found anew."""
LIKE = 0.8
"""Cosine of appearances from which a later view of a thing is taken for the same thing."""


def split(solid: MaskArray, *, least: int, gap: int) -> tuple[MaskArray, ...]:
    """Split a mask, H x W bool, into its separate parts, the largest first.

    Args:
        solid: The mask.
        least: Smaller parts, in cells, are dropped.
        gap: Parts that are no further apart than so many cells are one: a thing behind a post stays one thing.
    """
    joined = solid.astype(np.uint8)
    if gap:
        reach = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (gap + 1, gap + 1))
        joined = np.asarray(cv2.dilate(joined, reach), np.uint8)
    count, numbers = cv2.connectedComponents(joined, connectivity=8)
    parts = [solid & (numbers == number) for number in range(1, count)]
    return tuple(sorted((part for part in parts if part.sum() >= least), key=lambda part: -int(part.sum())))


def appearance_of(key_NK: NDArray[np.float32], mask: MaskArray, *, cells: tuple[int, int]) -> Appearance:
    """Return the mean of the keys of a frame, h w x K, that a mask covers, H x W bool and not empty."""
    share = cv2.resize(mask.astype(np.float32), cells[::-1], interpolation=cv2.INTER_AREA).reshape(-1)
    mean = share @ key_NK
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), np.float32)


def overlap(a: MaskArray, b: MaskArray) -> float:
    """Return the intersection over union; 0 if both are empty."""
    either = int((a | b).sum())
    return int((a & b).sum()) / either if either else 0.0


def share_inside(part: MaskArray, whole: MaskArray) -> float:
    """Return the share of a mask that lies in another; 0 for an empty one."""
    area = int(part.sum())
    return int((part & whole).sum()) / area if area else 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Anchor:
    """A frame in which a thing was found by itself.

    The logit is h x w float32 at the network's stride, low outside the thing; the confidence is the expected J of its
    mask, in [0, 1].
    """

    frame: int
    logit: Tensor
    confidence: float
    appearance: Appearance


@dataclass(slots=True, kw_only=True)
class Candidate:
    """A thing that was found, and has been followed since.

    It was in ``seen`` sampled frames, covering ``area`` in sum (shares of the frame), and was found anew by itself in
    ``confirmed`` of them. It has been there since frame ``since``, but for short gaps. ``away`` counts the
    latest sampled frames in a row that it was not in. ``traced`` is true once it was
    followed back to where it came from.
    """

    id: int
    first: int
    anchors: list[Anchor] = field(default_factory=list)
    seen: int = 0
    confirmed: int = 0
    area: float = 0.0
    traced: bool = False
    since: int = 0
    away: int = 0

    @property
    def size(self) -> float:
        """Mean share of the frames that it is in."""
        return self.area / self.seen if self.seen else 0.0

    @property
    def weight(self) -> float:
        """Rank among others: how much of the video it fills."""
        return self.area * min(self.confirmed, CONFIRMED)

    def likeness(self, appearance: Appearance) -> float:
        """Return the cosine of an appearance with the nearest of its own."""
        return max(float(each.appearance @ appearance) for each in self.anchors)

    def add_anchor(self, anchor: Anchor, *, spacing: int) -> None:
        """Take note of another view of it, if that is better than what there is.

        The surest of views nearer than ``spacing`` frames stays. Views that look otherwise are not taken: the following
        may have slipped.
        """
        if self.anchors and self.likeness(anchor.appearance) < LIKE:
            return
        near = [each for each in self.anchors if abs(each.frame - anchor.frame) < spacing]
        if near:
            if all(each.confidence < anchor.confidence for each in near):
                self.anchors = [each for each in self.anchors if each not in near] + [anchor]
            return
        self.anchors.append(anchor)
        if len(self.anchors) > ANCHORS:
            # The one between others, of those that are about as sure: views of other times show more.
            worst = min(self.anchors, key=lambda each: (round(each.confidence, 1), self._room(each)))
            self.anchors.remove(worst)

    def _room(self, anchor: Anchor) -> float:
        """Count the frames from the view before to the view after; infinite for the first and the last."""
        frames = [each.frame for each in self.anchors]
        before = [frame for frame in frames if frame < anchor.frame]
        after = [frame for frame in frames if frame > anchor.frame]
        return min(after) - max(before) if before and after else math.inf

    def merge(self, other: Candidate, *, spacing: int) -> None:
        """Take over what is known of another one, which is the same thing."""
        self.first = min(self.first, other.first)
        self.seen, self.area = self.seen + other.seen, self.area + other.area
        self.confirmed += other.confirmed
        for anchor in other.anchors:
            near = [each for each in self.anchors if abs(each.frame - anchor.frame) < spacing]
            if not near and len(self.anchors) < ANCHORS:
                self.anchors.append(anchor)
            elif (worst := min(near or self.anchors, key=lambda each: each.confidence)).confidence < anchor.confidence:
                self.anchors = [each for each in self.anchors if each is not worst] + [anchor]


def choose_candidates(candidates: Iterable[Candidate], *, sampled: int, most: int) -> tuple[Candidate, ...]:
    """Choose those that are found again and again, and ``most`` of these, the largest; by first appearance."""
    needed = min(CONFIRMED, max(sampled // 2, 1))
    kept = [each for each in candidates if each.confirmed >= needed and each.confirmed >= BELIEVED * each.seen]
    kept = sorted(kept, key=lambda each: -each.weight)[:most]
    return tuple(sorted(kept, key=lambda each: (each.first, -each.size)))


def as_one(kept: Candidate, other: Candidate) -> Candidate:
    """Return one candidate of two that shared a thing: what was found of it went to the one or the other."""
    return replace(
        kept,
        first=min(kept.first, other.first),
        since=min(kept.since, other.since),
        confirmed=kept.confirmed + other.confirmed,
        seen=max(kept.seen, other.seen),
        area=kept.area + other.area,
    )


def same_thing(overlaps: Sequence[float]) -> bool:
    """Return true if two tracks are of one thing: in most of the frames that show both they cover the same."""
    return len(overlaps) >= 2 and sum(each >= 0.5 for each in overlaps) > len(overlaps) / 2
