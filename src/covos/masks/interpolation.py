"""Tell a label map that was resized with interpolation, which invents objects along every contour.

Between object 3 and the background, bilinear resizing leaves a thin line of pixels 1 and 2: ids that nobody drew.
Anti-aliased drawing and soft mattes do the same between 0 and 255.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from covos.types import LabelArray

_SHARE = 0.05
_SHARE_OF_SMALL_MAPS = 0.12  # below 128 pixels, thin limbs between two objects are common
_SMALL = 128
_FEW_PIXELS = 30  # two touching objects of a few pixels each must not be an alarm ...
_MANY_IDS = 5  # ... unless they come with many ids


def looks_interpolated(labels: LabelArray) -> bool:
    """Whether many contour pixels lie *between* the ids on their two sides.

    A pixel is suspect if no 3 x 3 block of its own id covers it (it is part of a thin line) and its id is strictly
    between the lowest and the highest id around it. A clean map has few of these: slivers of one object between two
    others. The answer is a judgement: it catches soft binary masks and most interpolated maps of several objects,
    and cannot see interpolation between neighbouring ids, which leaves nothing in between.

    Args:
        labels: H x W uint8 object ids.
    """
    # One id and the background have nothing in between. Most maps of one object are done here.
    if cv2.countNonZero(labels) == np.count_nonzero(labels == labels.max()):
        return False
    small = min(labels.shape) < _SMALL
    # Background two pixels away from any object has no part in the judgement.
    x, y, w, h = cv2.boundingRect(labels)
    labels = labels[max(y - 2, 0) : y + h + 2, max(x - 2, 0) : x + w + 2]
    window = np.ones((3, 3), np.uint8)
    lowest, highest = cv2.erode(labels, window), cv2.dilate(labels, window)
    edge = lowest != highest
    contour = int(np.count_nonzero(edge))
    if not contour:
        return False
    in_a_block = cv2.dilate((~edge).view(np.uint8), window).view(np.bool_)
    suspect: NDArray[np.bool_] = edge & ~in_a_block & (lowest < labels) & (labels < highest)
    count = int(np.count_nonzero(suspect))
    allowed = _SHARE_OF_SMALL_MAPS if small else _SHARE
    if count <= allowed * contour:
        return False
    return count >= _FEW_PIXELS or len(np.unique(labels[suspect])) >= _MANY_IDS
