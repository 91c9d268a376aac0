"""Holes of masks: which are filled, by their area in a frame and in those around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.types import LabelArray, MaskArray, ProbabilityArray
from covos.masks.distance import distance_to, nearest_labels

REACH = 2
"""Frames on each side in which a hole is looked for: one that is there in less than three of five pops up."""
_MARGIN = 0.01
"""Share of the frame's height by which a hole may miss its place in the next frame, beside the way of the subject."""
_OPEN = 0.2
"""A place is open where more of it than this share lies outside of the subject."""
_STEP = 4
"""Every so many rows and columns are looked at to find a part of the subject again in another frame."""


@dataclass(frozen=True, eq=False)
class Holes:
    """The holes of one frame's masks: background that is not open to the border of the frame.

    Attributes:
        parts: H x W int32: the number of the part of the background that a pixel lies in, 0 where an object is.
        areas: Area of each part in pixels, by its number; infinite of one that is no hole, 0 for the objects.
        boxes: (left, top, width, height) of each part, by its number.
        around: Number of the part of the subject that encloses each part; 0 of one that is no hole.
        thinned: Every fourth row and column, int32: the number of the part of the subject there, 0 for background.
        centres: (x, y) of each part of the subject, the holes in it included, by its number.
    """

    parts: NDArray[np.int32]
    areas: NDArray[np.float64]
    boxes: NDArray[np.int32]
    around: NDArray[np.int32]
    thinned: NDArray[np.int32]
    centres: NDArray[np.float64]

    @classmethod
    def of(cls, labels: LabelArray) -> Holes:
        """Find them; labels are H x W uint8, 0 = background."""
        height, width = labels.shape
        outside = labels == 0
        _, parts, facts, middles = cv2.connectedComponentsWithStats(outside.view(np.uint8), connectivity=4)
        _, things, sizes, centres = cv2.connectedComponentsWithStats((~outside).view(np.uint8), connectivity=8)
        left, top, wide, high, area = facts.T[:5]
        inside = (left > 0) & (top > 0) & (left + wide < width) & (top + high < height)
        areas = np.where(inside, area, np.inf)
        areas[0] = 0
        holes = np.flatnonzero(np.isfinite(areas) & (areas > 0))
        around = np.zeros(len(areas), np.int32)
        for number in holes:
            row = parts[top[number], left[number] : left[number] + wide[number]]
            # An island in the hole lies below its first row: the pixel above that is of what goes round it.
            around[number] = things[top[number] - 1, left[number] + int(np.argmax(row == number))]
        weights = sizes[:, cv2.CC_STAT_AREA].astype(np.float64)
        sums = np.nan_to_num(centres) * weights[:, None]
        np.add.at(sums, around[holes], middles[holes] * areas[holes, None])
        np.add.at(weights, around[holes], areas[holes])
        return cls(
            parts=np.asarray(parts, np.int32),
            areas=areas,
            boxes=np.asarray(facts[:, :4], np.int32),
            around=around,
            thinned=np.asarray(things[::_STEP, ::_STEP], np.int32).copy(),
            centres=sums / np.maximum(weights, 1)[:, None],
        )

    @property
    def is_hole(self) -> NDArray[np.bool_]:
        """True of each part that is a hole, by its number."""
        return np.isfinite(self.areas) & (self.areas > 0)

    def small(self, most: float, *, near: Sequence[tuple[int, Holes]] = ()) -> MaskArray:
        """Return the holes to fill: those whose area over the frames is at most ``most``, H x W bool.

        It is the middle one of the areas in this frame and in the others. So a hole that pops up for a frame or two is
        filled whatever its size, and one that is small for a moment alone stays as open as before and after.

        Args:
            most: Area in pixels; infinite for every hole.
            near: Other frames of the same size: how many frames each is away, and its holes.
        """
        fills = self.is_hole
        if np.isfinite(most):
            others = [_Other(self, other, away) for away, other in near]
            for number in np.flatnonzero(fills):
                seen = sorted([self.areas[number], *(other.area_of(int(number)) for other in others)])
                fills[number] = seen[len(seen) // 2] <= most
        return np.asarray(fills[self.parts], np.bool_)


class _Other:
    """Another frame, in which holes of this one are found again."""

    def __init__(self, here: Holes, there: Holes, away: int) -> None:
        self._here, self._there = here, there
        self._margin = max(2, round(_MARGIN * here.parts.shape[0] * away))
        self._was_hole, self._is_hole = here.is_hole, there.is_hole
        self._ways: dict[int, tuple[int, int]] = {}

    def area_of(self, number: int) -> float:
        """Return the area that a hole has there: 0 if a mask covers its place.

        If the place is open to the border, or out of the frame, its own area counts: nothing is known of it there.
        """
        own, way = float(self._here.areas[number]), self._way(int(self._here.around[number]))
        # What joins the subject for a moment moves its centre, though the hole stays where it is.
        for each in dict.fromkeys([way, (0, 0)]):
            if found := self._match(number, each):
                return float(self._there.areas[found])
        was, now = self._views(number, way)
        place = now[was == number]
        return own if not place.size or np.isinf(self._there.areas)[place].mean() > _OPEN else 0.0

    def _match(self, number: int, way: tuple[int, int]) -> int:
        """Return the number of the one hole there that a hole is, gone such a way: 0 if there is none.

        It is the one that covers most of the place, or else the nearest one that is no other hole of this frame.
        """
        was, now = self._views(number, way)
        covering = now[was == number]
        covering = covering[self._is_hole[covering]]
        if covering.size:
            return int(np.bincount(covering).argmax())
        was, now = self._views(number, way, margin=self._margin)
        found = self._is_hole[now]
        if not found.any():
            return 0
        found &= ~np.isin(now, now[found & self._was_hole[was]])
        apart = cv2.distanceTransform((was != number).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        apart[~found] = np.inf
        nearest = np.unravel_index(int(apart.argmin()), apart.shape)
        return int(now[nearest]) if apart[nearest] <= self._margin else 0

    def _way(self, thing: int) -> tuple[int, int]:
        """Return the way (x, y) of a part of the subject from here to there; its holes go with it."""
        if thing not in self._ways:
            here, there = self._here, self._there
            covered = there.thinned[here.thinned == thing]
            covered = covered[covered > 0]
            if covered.size:
                same = int(np.bincount(covered).argmax())
            elif len(there.centres) > 1:
                same = 1 + int(np.linalg.norm(there.centres[1:] - here.centres[thing], axis=1).argmin())
            else:
                return 0, 0
            x, y = np.rint(there.centres[same] - here.centres[thing]).astype(int)
            self._ways[thing] = int(x), int(y)
        return self._ways[thing]

    def _views(
        self, number: int, way: tuple[int, int], *, margin: int = 0
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return the parts around a hole here, and those that lie there after such a way, as far as both have them."""
        (left, top, wide, high), (height, width) = self._here.boxes[number], self._here.parts.shape
        spans = []
        for at, size, whole, by in ((top, high, height, way[1]), (left, wide, width, way[0])):
            first = max(int(at) - margin, 0, -by)
            spans.append((first, max(first, min(int(at + size) + margin, whole, whole - by)), by))
        (first, last, down), (start, stop, right) = spans
        return (
            self._here.parts[first:last, start:stop],
            self._there.parts[first + down : last + down, start + right : stop + right],
        )


def filled(labels: LabelArray, probability: ProbabilityArray, hole: MaskArray) -> tuple[LabelArray, ProbabilityArray]:
    """Fill holes with the nearest object, and make their soft rims solid.

    Args:
        labels: H x W uint8.
        probability: H x W float32 in [0, 1].
        hole: H x W bool.
    """
    if not hole.any():
        return labels, probability
    height = labels.shape[0]
    whole = np.where(hole, nearest_labels(labels), labels)
    # The rim of the hole was soft: up to where the outer edge is nearer.
    outside = (labels == 0) & ~hole
    to_hole = distance_to(hole, exact=True)
    rim = (to_hole <= 0.02 * height + 2) & (to_hole < distance_to(outside, exact=True))
    return whole, np.where(hole | (rim & (labels > 0)), np.float32(1), probability)
