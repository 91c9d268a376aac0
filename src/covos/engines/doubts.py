"""A network's doubts in the middle of a subject, told from its soft edge: the ground of a matte.

A matte is looked for where the probability is neither 0 nor 1. A network doubts fur in shade or a bottle on a table,
too, and there a matte would become a hole.
"""

from __future__ import annotations

import cv2
import numpy as np

from covos.core.types import MaskArray, ProbabilityArray
from covos.masks.distance import distance_to
from covos.masks.matte import stretched
from covos.masks.solid import SOLID, doubted_holes, part_around, scale_of, solidity

RISE = 2
"""So many times the reach of the band, inwards from the contour, the widest soft edge rises from 1/2 to 1. A pixel that
is below this line is no part of an edge: it is doubted."""
BELOW = 0.02
"""By so much it is below the line, at the least."""
SPREAD = 2
"""Standard deviation in pixels at 480p, more in proportion in larger frames, over which a doubt fades into an edge."""


def without_doubts(probability: ProbabilityArray, *, reach: float) -> ProbabilityArray:
    """Make an opacity of a probability in which the subject is solid where it is only doubted.

    Small holes that are no deeper than a doubt (`covos.masks.solid.doubted_holes`) are closed. Inside of the contour, a
    place where the probability is lower than in the widest soft edge at this depth is as solid as it is deep
    (`covos.masks.solid.solidity`). Soft edges, and gaps that are seen in the probability, stay as they are.

    Args:
        probability: H x W float32 in [0, 1].
        reach: Pixels that the band of a matte reaches on each side of the contour.

    Returns:
        H x W float32 in [0, 1].
    """
    opacity = stretched(probability)
    inside = probability > 0.5
    if not (inside & (opacity < 1)).any():
        return opacity
    scale = scale_of(probability.shape[0])
    holes = doubted_holes(probability, inside.view(np.uint8))
    part = part_around(inside)
    own, whole = opacity[part], inside[part] | holes[part]
    doubts = _below_an_edge(own, whole, scale=scale, wide=RISE * reach) | holes[part]
    if not doubts.any():
        return opacity
    # At the corner of a patch, a Gaussian of it is a quarter.
    near = np.minimum(4 * cv2.GaussianBlur(doubts.astype(np.float32), (0, 0), SPREAD * scale), 1)
    own[whole] = 1 - (1 - own[whole]) * (1 - (near * solidity(whole, scale=scale))[whole])
    return opacity


def _below_an_edge(opacity: ProbabilityArray, inside: MaskArray, *, scale: float, wide: float) -> MaskArray:
    depth = distance_to(~inside)
    edge = 0.5 + 0.5 * np.minimum(depth / wide, 1)
    return np.asarray(inside & (depth > SOLID[0] * scale) & (opacity < edge - BELOW), np.bool_)
