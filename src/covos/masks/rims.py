"""Rims: thin lines of one object round another, where two tracks lie over one thing. A clean label map has none."""

from __future__ import annotations

from collections.abc import Collection

import cv2
import numpy as np

from covos.core.types import LabelArray, MaskArray
from covos.masks.distance import depth_in, distance_to
from covos.masks.object_ids import has_lines, objects_in
from covos.masks.soft import SKIRT

THICKNESS = 0.02
"""Thickness of a rim, at most, as a share of the longer side of the frame."""
THIN = 0.8
"""Share of a rim that must be so thin, and must lie along the other object."""
LONG = 4
"""Length of a rim, at least, in its own thicknesses: a ball in a hand is small, and no rim."""

_SLENDER = 3
"""Length of a sliver, at least, in its own thicknesses, if it is thicker than an edge is sure."""


def left_of(own: MaskArray, taken: MaskArray) -> MaskArray:
    """Return what is left of an object of which another one takes a part: H x W bool, without slivers along that one.

    Two masks of one thing never have the same contour, so a rim of the first would stay round the second. Pieces that
    lie along the other object go, if they are no thicker than a contour is sure (`covos.masks.soft.SKIRT` each side),
    or are thin, long, and apart from the rest. A ball beside a person stays, and so does a strap that leads away.

    Args:
        own: H x W bool, the object before.
        taken: H x W bool, the other object.
    """
    rest = own & ~taken
    if not rest.any() or not (own & taken).any():
        return rest
    sure, broad, far = SKIRT * own.shape[0], THICKNESS * max(own.shape), distance_to(taken)
    depth = distance_to(~np.pad(rest, 1))[1:-1, 1:-1]
    # An opening, by distances: what is within reach of a place that is deeper than an edge is sure.
    body = distance_to(depth > sure) <= 2 * sure
    gone = _along(rest & ~body, far <= 2 * sure + 1, touching=far < 2)
    count, found, facts, _ = cv2.connectedComponentsWithStats(rest.view(np.uint8), connectivity=8)
    pieces, deepest = np.asarray(found, np.int32), np.zeros(count)
    np.maximum.at(deepest, pieces[rest], depth[rest])
    slender = (2 * deepest <= broad) & (facts[:, cv2.CC_STAT_AREA] >= _SLENDER * (2 * deepest) ** 2)
    gone |= _along(rest & slender[pieces], far <= broad, touching=far < 2)
    return np.asarray(rest & ~gone, np.bool_)


def _along(mask: MaskArray, near: MaskArray, *, touching: MaskArray) -> MaskArray:
    """Return those connected pieces of a mask that touch another one, and lie near it with nearly all they have."""
    count, pieces, facts, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    close = np.bincount(pieces[mask & near], minlength=count)
    along = close >= THIN * facts[:, cv2.CC_STAT_AREA]
    touched = np.zeros(count, np.bool_)
    touched[pieces[mask & touching]] = True
    return np.asarray((along & touched)[pieces] & mask, np.bool_)


def is_rim(part: MaskArray, whole: MaskArray) -> bool:
    """Return True if a mask is a rim of another one: thin, long, and along it. Both are H x W bool."""
    if int(part.sum()) >= int(whole.sum()) or not part.any():
        return False
    reach = max(1, round(THICKNESS * max(part.shape)))
    # Beyond this box of the part, nothing has a say.
    x, y, w, h = cv2.boundingRect(part.view(np.uint8))
    rows, columns = slice(max(y - reach, 0), y + h + reach), slice(max(x - reach, 0), x + w + reach)
    near, other = part[rows, columns].astype(np.uint8), whole[rows, columns].astype(np.uint8)
    beside = cv2.dilate(other, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    thick = cv2.morphologyEx(near, cv2.MORPH_OPEN, np.ones((reach + 1, reach + 1), np.uint8))
    depth = float(depth_in(part[rows, columns]).max())
    area = int(near.sum())
    thin = int(thick.sum()) <= (1 - THIN) * area and area >= LONG * (2 * depth) ** 2
    return thin and cv2.countNonZero(cv2.bitwise_and(near, beside)) >= THIN * area


def without_rims(labels: LabelArray, *, found: Collection[int] = ()) -> LabelArray:
    """Return a label map in which no object lies round another as a rim.

    Lines of a pixel or two between an object and something else go to the object beside them, if they are a large part
    of all contours. An object that nobody drew, and that is as a whole the rim of
    another one, becomes part of that one. A belt that a user shows is an object, a belt that was found is not.

    Args:
        labels: H x W uint8; 0 = background.
        found: Ids of the objects that nobody drew.

    Returns:
        The map itself if there is nothing to change, else a copy.
    """
    masks = objects_in(labels)
    if len(masks) < 2:
        return labels
    cleaned = labels
    for identity in [each for each in masks if each in found]:
        for other in (each for each in masks if each != identity):
            if is_rim(masks[identity], masks[other]):
                cleaned = np.where(masks[identity], np.uint8(other), cleaned)
                masks[other] = masks[other] | masks.pop(identity)
                break
    return _without_lines(cleaned) if has_lines(cleaned) else cleaned


def _without_lines(labels: LabelArray) -> LabelArray:
    """Give every pixel of an object that no 3 x 3 block of its own covers to the nearest object that has blocks."""
    window = np.ones((3, 3), np.uint8)
    inside = cv2.erode(labels, window) == cv2.dilate(labels, window)
    solid = cv2.dilate((inside & (labels > 0)).astype(np.uint8), window).view(np.bool_)
    if not solid.any():
        return labels
    _, nearest = cv2.distanceTransformWithLabels(
        (~solid).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    owners = np.zeros(int(nearest.max()) + 1, np.uint8)
    owners[nearest[solid]] = labels[solid]
    cleaned = np.where((labels > 0) & ~solid, owners[nearest], labels)
    return np.asarray(cleaned, np.uint8)
