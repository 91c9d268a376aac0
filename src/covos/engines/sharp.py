"""A mask's own edge is believed if it is sharp, and lies on an edge of the picture.

A matte is found for masks of any origin. Some are coarse, and some are nearly right. A coarse one has a wide edge, or
an edge beside those of the picture.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.types import ImageArray, ProbabilityArray
from covos.masks.matte import brought_together

STEEP = 0.2, 0.4
"""Changes of an opacity from pixel to pixel at 480p, less in proportion in larger frames. At the first an edge begins
to be sharp, at the second it is."""
ON_EDGE = 1.1, 1.5
"""Mean slope of the picture on the contour over that around it. At the first a contour begins to lie on an edge of the
picture, at the second it does."""
SHARE = 0.5
"""Share of such an edge in the log-odds of alpha. A larger one loses strands that a hard mask lacks."""
AROUND = 1.25
"""So many times the reach of the band is half the side of the windows that are looked at."""
_LEAST_SLOPE = 0.5


def with_sharp_edges(
    alpha: ProbabilityArray, guide: ProbabilityArray, image: ImageArray, *, reach: float, scale: float
) -> ProbabilityArray:
    """Bring alpha nearer to the opacity of the mask where its own edge is sharp, and lies on an edge of the picture.

    Args:
        alpha: H x W float32 in [0, 1], as it was found.
        guide: H x W float32 in [0, 1]: the opacity of the mask.
        image: H x W x 3 uint8 RGB.
        reach: Pixels that the band reaches on each side of the contour.
        scale: See `covos.masks.solid.scale_of`.

    Returns:
        H x W float32 in [0, 1]; alpha itself if no edge is sharp. Masks that were drawn, given or fitted by a
        CRF have such edges; those that a network has found have not.
    """
    trust = _trust(guide, image, reach=reach, scale=scale)
    if trust is None:
        return alpha
    believed = np.nonzero(trust > 0)
    found = alpha.copy()
    found[believed] = brought_together(alpha[believed], guide[believed], share=trust[believed])
    return found


def _trust(guide: ProbabilityArray, image: ImageArray, *, reach: float, scale: float) -> NDArray[np.float32] | None:
    """Return how far the mask's own edge is believed: H x W float32 in [0, `SHARE`]; None if nowhere.

    What is looked at is a share of the frame's height, so a large frame is looked at in a smaller one.
    """
    times, size = int(scale), guide.shape[::-1]
    if times > 1:
        small = max(1, size[0] // times), max(1, size[1] // times)
        guide = np.asarray(cv2.resize(guide, small, interpolation=cv2.INTER_AREA), np.float32)
        image = np.asarray(cv2.resize(image, small, interpolation=cv2.INTER_AREA), np.uint8)
        reach, scale = reach / times, scale / times
    slope = _slope(guide) * np.float32(scale)
    if slope.max() <= STEEP[0]:
        return None
    side = 2 * round(AROUND * reach) + 1
    near = np.asarray(cv2.dilate(slope, cv2.getStructuringElement(cv2.MORPH_RECT, (side, side))), np.float32)
    brightness = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (0, 0), 1)
    picture = _slope(brightness.astype(np.float32))
    on_contour = _mean(picture * slope, side) / np.maximum(_mean(slope, side), 1e-4)
    trust = SHARE * _ramp(near, STEEP) * _ramp(on_contour / (_mean(picture, side) + _LEAST_SLOPE), ON_EDGE)
    return trust if times <= 1 else np.asarray(cv2.resize(trust, size, interpolation=cv2.INTER_LINEAR), np.float32)


def _slope(values: NDArray[np.float32]) -> NDArray[np.float32]:
    across, down = (cv2.Sobel(values, cv2.CV_32F, *way, scale=1 / 8) for way in ((1, 0), (0, 1)))
    return np.asarray(cv2.magnitude(across, down), np.float32)


def _mean(values: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    return np.asarray(cv2.blur(values, (side, side)), np.float32)


def _ramp(values: NDArray[np.float32], ends: tuple[float, float]) -> NDArray[np.float32]:
    return np.asarray(np.clip((values - ends[0]) / (ends[1] - ends[0]), 0, 1), np.float32)
