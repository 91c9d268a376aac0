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


@dataclass(frozen=True, eq=False)
class Holes:
    """The holes of one frame's masks: background that is not open to the border of the frame.

    Attributes:
        parts: H x W int32: the number of the part of the background that a pixel lies in, 0 where an object is.
        areas: Area of each part in pixels, by its number; infinite of one that is no hole, 0 for the objects.
        boxes: (left, top, width, height) of each part, by its number.
        centre: (x, y) of the subject, holes included; (0, 0) if there is none.
    """

    parts: NDArray[np.int32]
    areas: NDArray[np.float64]
    boxes: NDArray[np.int32]
    centre: NDArray[np.float64]

    @classmethod
    def of(cls, labels: LabelArray) -> Holes:
        """Find them; labels are H x W uint8, 0 = background."""
        height, width = labels.shape
        _, parts, facts, _ = cv2.connectedComponentsWithStats((labels == 0).view(np.uint8), connectivity=4)
        left, top, wide, high, area = facts.T[:5]
        inside = (left > 0) & (top > 0) & (left + wide < width) & (top + high < height)
        areas = np.where(inside, area, np.inf)
        areas[0] = 0
        moments = cv2.moments(np.isfinite(areas)[parts].view(np.uint8), binaryImage=True)
        centre = np.array([moments["m10"], moments["m01"]]) / max(moments["m00"], 1)
        return cls(np.asarray(parts, np.int32), areas, np.asarray(facts[:, :4], np.int32), centre)

    def small(self, most: float, *, near: Sequence[tuple[int, Holes]] = ()) -> MaskArray:
        """Return the holes to fill: those whose area over the frames is at most ``most``, H x W bool.

        It is the middle one of the areas in this frame and in the others. So a hole that pops up for a frame or two is
        filled whatever its size, and one that is small for a moment alone stays as open as before and after.

        Args:
            most: Area in pixels; infinite for every hole.
            near: Other frames of the same size: how many frames each is away, and its holes.
        """
        fills = np.isfinite(self.areas) & (self.areas > 0)
        if np.isfinite(most):
            for number in np.flatnonzero(fills):
                seen = sorted([self.areas[number], *(self._area_in(other, int(number), away) for away, other in near)])
                fills[number] = seen[len(seen) // 2] <= most
        return np.asarray(fills[self.parts], np.bool_)

    def covered_by(self, labels: LabelArray) -> MaskArray:
        """Return the holes that other masks of the frame cover whole, H x W bool; labels are H x W uint8."""
        open_in = np.bincount(self.parts.ravel(), weights=(labels == 0).ravel(), minlength=len(self.areas))
        return np.asarray(((open_in == 0) & np.isfinite(self.areas) & (self.areas > 0))[self.parts], np.bool_)

    def _area_in(self, other: Holes, number: int, away: int) -> float:
        """Return the area that a hole has in another frame: 0 if a mask covers its place.

        Where the place is open to the border, or out of the frame, its own area counts: nothing is known of it there.
        """
        height, width = self.parts.shape
        margin = max(2, round(_MARGIN * height * away))
        left, top, wide, high = self.boxes[number]
        hole = self.parts[top : top + high, left : left + wide] == number
        hole = np.pad(hole.view(np.uint8), margin)
        # The subject has moved, and its holes with it.
        x, y = np.rint(other.centre - self.centre + (left - margin, top - margin)).astype(int)
        rows, columns = (slice(max(0, -at), max(0, size - at)) for at, size in ((y, height), (x, width)))
        kept = hole[rows, columns]
        if not kept.any():
            return float(self.areas[number])
        place = other.parts[max(0, y) :, max(0, x) :][: kept.shape[0], : kept.shape[1]]
        side = 2 * margin + 1
        around = cv2.dilate(kept, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))) > 0
        found = other.areas[np.unique(place[around])]
        if (same := found[np.isfinite(found) & (found > 0)]).size:
            return float(same.sum())
        is_open = np.isinf(other.areas)[place[kept > 0]]
        return float(self.areas[number]) if is_open.mean() > _OPEN else 0.0


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
