"""Soft masks (mattes), the share of each pixel that belongs to the subject; colours of pixels that are mixed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from covos.core.errors import AnnotationError
from covos.masks.label_files import open_mask
from covos.masks.object_ids import split_alpha

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from covos.core.types import ImageArray, ProbabilityArray

    Colours = NDArray[np.float32]

SURE = 0.1
"""A probability this near to 0 or 1 is taken for it where an opacity is made of it."""

_WIDE, _NARROW = 90 / 980, 6 / 980
"""Sides of the windows, as shares of the picture's diagonal: 90 and 6 pixels, the author's, at 480 x 854."""
_WIDE_PASSES = 2
"""The author's is one. It starts from the mixed picture, and its means still hold some of the other side."""
_NARROW_PASSES = 3
"""The author's is one. Each further one takes a part of the rest of the error away, and costs as much again; see the
table of colours of ``benchmarks/matte.py``."""
_WIDE_DIAGONAL = 245
"""Pixels of the reduced picture that the wide passes are computed on: a quarter at 480 x 854."""
_TINY = 1e-5


def read_soft_mask(path: Path) -> ProbabilityArray:
    """Read a matte: the alpha channel where there is one that is not all opaque, else the grey value of 1 to 16 bits.

    The result is H x W float32: black or transparent is 0, white or opaque 1. Colours without alpha are refused.
    """
    image, alpha = split_alpha(open_mask(path))
    values: NDArray[Any] = np.asarray(image) if alpha is None else alpha
    white = 255
    if alpha is None and image.mode == "1":
        white = 1
    elif alpha is None and image.mode.startswith("I"):
        values, white = np.clip(values, 0, 65535), 65535
    elif alpha is None and image.mode != "L":
        colours = np.asarray(image.convert("RGB"))
        values = colours[..., 0]
        if (colours != values[..., None]).any():
            raise AnnotationError(
                f"{path} is not a soft mask",
                why="it has colours; a matte is grey or an alpha channel",
                fix="export the matte as a grey PNG, or read the file as a label map",
            )
    return values.astype(np.float32) / np.float32(white)


def check_pair(image: NDArray[Any], soft: NDArray[Any]) -> None:
    """Refuse a picture and a soft mask that are not H x W x 3 uint8 and H x W float32 in [0, 1]."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"the image must be H x W x 3 uint8, not {_text(image)}")
    if soft.ndim != 2 or soft.dtype != np.float32:
        raise ValueError(f"the soft mask must be H x W float32, not {_text(soft)}")
    if image.shape[:2] != soft.shape:
        raise ValueError(f"the image is {image.shape[:2]}, the soft mask {soft.shape}")
    if not soft.size:
        raise ValueError(f"the image and the soft mask are empty: {soft.shape}")
    lowest, highest = soft.min(), soft.max()
    # Written so that NaN, which compares as False, is refused too.
    if not (lowest >= 0 and highest <= 1):
        raise ValueError(f"the soft mask must be in [0, 1], not in [{lowest}, {highest}]")


def _text(array: NDArray[Any]) -> str:
    return f"{' x '.join(str(side) for side in array.shape)} {array.dtype}"


def stretched(probability: ProbabilityArray) -> ProbabilityArray:
    """Make an opacity of a probability, H x W float32 in [0, 1]: what is nearly sure is made sure.

    A network is never quite certain. An interior of 0.98 lets the background through, one of 0.02 leaves ghosts of
    other things.
    """
    wider = (probability - SURE) / (1 - 2 * SURE)
    return np.asarray(np.clip(wider, 0, 1, out=wider), np.float32)


def foreground_colours(image: ImageArray, alpha: ProbabilityArray) -> ImageArray:
    """Estimate the foreground's own colours where it is mixed with the background, so that a cut-out has no fringe.

    A pixel of a soft border shows alpha F + (1 - alpha) B. Blur fusion, Forte, "Approximate Fast Foreground Colour
    Estimation", ICIP 2021: F and B are first averaged over what surely is one or the other near by, then what the mix
    of the two does not explain is given to F in proportion to alpha; last passes in a small window sharpen that.

    Returns:
        H x W x 3 uint8. The image itself where alpha is 1; black a few pixels away from all that is not
        transparent, so that nothing of the background is handed on.
    """
    check_pair(image, alpha)
    height, width = alpha.shape
    mixed, share = image.astype(np.float32), alpha[..., np.newaxis]
    diagonal = float(np.hypot(height, width))
    factor = max(diagonal / _WIDE_DIAGONAL, 1.0)
    size = (max(round(width / factor), 1), max(round(height / factor), 1))
    foreground = background = small = _resized(mixed, size, cv2.INTER_AREA)
    small_share = _resized(alpha, size, cv2.INTER_AREA)[..., np.newaxis]
    for _ in range(_WIDE_PASSES):
        foreground, background = _fuse(small, foreground, background, small_share, side=_odd(_WIDE * diagonal / factor))
    foreground = _resized(foreground, (width, height), cv2.INTER_LINEAR)
    background = _resized(background, (width, height), cv2.INTER_LINEAR)
    for _ in range(_NARROW_PASSES):
        foreground, background = _fuse(mixed, foreground, background, share, side=_odd(_NARROW * diagonal))
    return np.asarray(np.rint(foreground), np.uint8)


def _fuse(
    mixed: Colours, foreground: Colours, background: Colours, share: Colours, *, side: int
) -> tuple[Colours, Colours]:
    """Run one pass of blur fusion from the estimates of F and B so far: return a better F, and B averaged."""
    weight = _blur(share, side)
    mean_foreground = _blur(foreground * share, side) / (weight + _TINY)
    mean_background = _blur(background * (1 - share), side) / (1 - weight + _TINY)
    unexplained = mixed - share * mean_foreground - (1 - share) * mean_background
    return np.clip(mean_foreground + share * unexplained, 0, 255), mean_background


def _odd(side: float) -> int:
    """Round to an odd number of pixels from 3 up: an even window would be the mean of what is to one side."""
    return max(2 * round(side / 2) + 1, 3)


def _resized(values: Colours, size: tuple[int, int], interpolation: int) -> Colours:
    return np.asarray(cv2.resize(values, size, interpolation=interpolation), np.float32)


def _blur(values: Colours, side: int) -> Colours:
    return np.asarray(cv2.blur(values, (side, side)), np.float32).reshape(values.shape)
