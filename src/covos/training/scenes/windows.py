"""Windows: the part of a picture that a training frame shows, and what is seen through it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from covos.core.types import ImageArray, ProbabilityArray
from covos.engines.motion import MotionArray
from covos.models.lite import MOTION_CHANNELS, MOTION_STRIDE

PictureT = TypeVar("PictureT", ImageArray, ProbabilityArray)


def window_matrix(
    *,
    center: NDArray[np.float64],
    extent: tuple[float, float],
    degrees: float,
    flip: bool,
    size: tuple[int, int],
) -> NDArray[np.float64]:
    """Return the 2 x 3 matrix from a view's pixels to the picture's; center (x, y) and extent are in pixels of this."""
    per_x, per_y = extent[0] / size[1], extent[1] / size[0]
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    linear = np.array([[cos * per_x, -sin * per_y], [sin * per_x, cos * per_y]])
    if flip:
        linear[:, 0] *= -1
    offset = center - linear @ np.array([(size[1] - 1) / 2, (size[0] - 1) / 2])
    return np.concatenate([linear, offset[:, None]], axis=1)


def seen_through(picture: PictureT, window: NDArray[np.float64], *, size: tuple[int, int]) -> PictureT:
    """Return a picture or a mask as it is seen through a window; beyond its border lies its reflection."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(picture, window, size[::-1], flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(warped, picture.dtype)


def draw_camera(
    shape: Sequence[int], *, frames: int, size: tuple[int, int], zoom: tuple[float, float], calm: bool, rng: Generator
) -> tuple[NDArray[np.float64], ...]:
    """Draw the windows of a camera that moves over a picture: one `window_matrix` a frame.

    The zoom is the range of the window's width over that of the largest that fits. A calm camera moves little: a video
    has one of its own.
    """
    height, width = shape[:2]
    aspect = size[1] / size[0] * float(np.exp(rng.uniform(-0.2, 0.2)))
    scale = float(rng.uniform(*zoom))
    whole = min(width, height * aspect) * scale
    free = np.maximum(np.array([width - whole, height - whole / aspect]), 0)
    center = np.array([width, height]) / 2 + rng.uniform(-0.5, 0.5, size=2) * free
    drift = rng.normal(0, 0.01 if calm else 0.04, size=2) * rng.random()
    angle, flip = float(rng.uniform(-8, 8)), rng.random() < 0.5
    windows = []
    for _ in range(frames):
        extent = whole, whole / aspect
        windows.append(window_matrix(center=center, extent=extent, degrees=angle, flip=flip, size=size))
        center = center + drift * whole
        drift = drift + rng.normal(0, 0.002 if calm else 0.008, size=2)
        angle += float(rng.normal(0, 0.3 if calm else 1.0))
        whole *= float(np.exp(rng.normal(0, 0.005 if calm else 0.02)))
    return tuple(windows)


def area_average(mask: ProbabilityArray, *, stride: int) -> ProbabilityArray:
    """Return the means of a mask's cells, stride x stride pixels each, so that thin parts weigh what they cover."""
    small = mask.shape[1] // stride, mask.shape[0] // stride
    # Averages of ones come out a rounding error above one, which a cross-entropy refuses.
    return np.asarray(np.clip(cv2.resize(mask, small, interpolation=cv2.INTER_AREA), 0, 1), np.float32)


def unknown_motion(size: tuple[int, int]) -> MotionArray:
    """Return the motion of a frame of size (height, width) whose motion is not known: all zero."""
    return np.zeros((size[0] // MOTION_STRIDE, size[1] // MOTION_STRIDE, MOTION_CHANNELS), np.float32)
