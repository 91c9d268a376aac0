"""The colours of the foreground where it is mixed with the background, so that a cut-out has no fringe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from covos.masks.refine.checks import check_pair

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from covos.types import ImageArray, ProbabilityArray

    Colours = NDArray[np.float32]

_COARSE = 90 / 900
"""Windows of both passes, of the picture's diagonal: 90 and 6 pixels, the paper's, at 480 x 854 (diagonal 980)."""
_FINE = 6 / 900
_TINY = 1e-5


def foreground_colours(image: ImageArray, alpha: ProbabilityArray) -> ImageArray:
    """Estimate the foreground's own colours.

    A pixel of a soft border shows alpha F + (1 - alpha) B. Blur fusion, Forte, "Approximate Fast Foreground Colour
    Estimation", ICIP 2021: F and B are first averaged over what surely is one or the other near by, then what the mix
    of the two does not explain is given to F in proportion to alpha; a second pass in a small window sharpens that.

    Args:
        image: H x W x 3 uint8.
        alpha: H x W float32 in [0, 1].

    Returns:
        H x W x 3 uint8. The image itself where alpha is 1; black where no foreground is near, so that nothing of the
        background is handed on.

    Raises:
        ValueError: The image and alpha are not a pair.
    """
    check_pair(image, alpha)
    diagonal = float(np.hypot(*alpha.shape))
    mixed = image.astype(np.float32)
    share = alpha[..., np.newaxis]
    foreground, background = mixed, mixed
    for window in (_COARSE, _FINE):
        side = max(round(window * diagonal), 3)
        foreground, background = _fuse(mixed, foreground, background, share, side=side)
    return np.asarray(np.rint(np.clip(foreground, 0, 255)), np.uint8)


def _fuse(
    mixed: Colours, foreground: Colours, background: Colours, share: Colours, *, side: int
) -> tuple[Colours, Colours]:
    """One pass of blur fusion.

    Args:
        mixed: H x W x 3, the picture.
        foreground: H x W x 3, what is known of F so far.
        background: H x W x 3, what is known of B so far.
        share: H x W x 1, alpha.
        side: Of the window, in pixels.

    Returns:
        Better F, and B averaged.
    """
    weight = _blur(share, side)
    mean_foreground = _blur(foreground * share, side) / (weight + _TINY)
    mean_background = _blur(background * (1 - share), side) / (1 - weight + _TINY)
    unexplained = mixed - share * mean_foreground - (1 - share) * mean_background
    return np.clip(mean_foreground + share * unexplained, 0, 255), mean_background


def _blur(values: Colours, side: int) -> Colours:
    return np.asarray(cv2.blur(values, (side, side)), np.float32).reshape(values.shape)
