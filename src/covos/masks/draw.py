"""Draw label maps over pictures, for people to look at."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.masks.palette import davis_palette
from covos.types import ImageArray, LabelArray

_OUTLINE_PER_DIAGONAL = 1 / 450
_DARK, _WHITE = 16, 255


def draw_overlay(image: ImageArray, labels: LabelArray, *, opacity: float = 0.5, outline: bool = True) -> ImageArray:
    """Tint each object with its palette colour and draw its outline.

    The outline is a white line on the object's own rim, and a thinner dark line around it: neither is a colour that a
    subject may have itself, and one of the two shows against any picture.

    Args:
        image: H x W x 3 uint8 RGB; it is not changed.
        labels: H x W uint8 ids; 0 is left as it is.
        opacity: Of the tint, in [0, 1].
        outline: Whether to draw outlines.

    Returns:
        H x W x 3 uint8 RGB, a new array.

    Raises:
        ValueError: The sizes differ, or ``opacity`` is outside [0, 1].
    """
    if image.shape[:2] != labels.shape:
        raise ValueError(f"the image is {image.shape[:2]}, the labels {labels.shape}")
    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity must be in [0, 1], not {opacity}")
    result = image.copy()
    x, y, width, height = cv2.boundingRect((labels != 0).view(np.uint8))
    if not width:
        return result
    thickness = outline_thickness(labels.shape)
    # Work where the objects are: most frames are mostly background.
    margin = 2 * thickness
    window = np.s_[max(y - margin, 0) : y + height + margin, max(x - margin, 0) : x + width + margin]
    part, ids = result[window], labels[window]
    inside = (ids != 0).view(np.uint8)
    # A look-up table of OpenCV's is several times as fast as numpy's indexing.
    tint = cv2.LUT(cv2.merge([ids, ids, ids]), davis_palette()[None])
    cv2.copyTo(cv2.addWeighted(tint, opacity, part, 1 - opacity, 0), inside, part)
    if outline:
        border = _border(ids)
        part[_thicken(border, (thickness + 1) // 2) > inside] = _DARK
        part[(_thicken(border, thickness) & inside).view(np.bool_)] = _WHITE
    return result


def outline_thickness(size: tuple[int, ...]) -> int:
    """Thickness of the bright line, in pixels, for a picture of (height, width): 1 from small ones up to 6 for 4K."""
    return max(1, round(math.hypot(*size) * _OUTLINE_PER_DIAGONAL))


def _border(labels: LabelArray) -> NDArray[np.uint8]:
    """1 for the pixels on both sides of a change of id."""
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    changes: NDArray[np.uint8] = (cv2.erode(labels, cross) != cv2.dilate(labels, cross)).view(np.uint8)
    return changes


def _thicken(border: NDArray[np.uint8], thickness: int) -> NDArray[np.uint8]:
    """The border, ``thickness`` pixels to each side."""
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * thickness - 1, 2 * thickness - 1))
    return np.asarray(cv2.dilate(border, disk), np.uint8)
