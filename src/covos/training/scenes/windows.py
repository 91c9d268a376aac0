"""Windows: the part of a picture that a training frame shows, and what is seen through it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias, TypeVar

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from covos.core.types import ImageArray, ProbabilityArray
from covos.engines.motion import MotionArray
from covos.models.lite import MOTION_CHANNELS, MOTION_STRIDE

PictureT = TypeVar("PictureT", ImageArray, ProbabilityArray)
ByteMask: TypeAlias = NDArray[np.uint8]
"""H x W uint8: 255 times the share of each pixel. Half the time of a float mask in a warp."""

TURN = 20.0
"""A thing turns by so many degrees over a clip, at most."""
GROWTH = 2.0
"""It becomes so many times larger or smaller over a clip, at most."""
LEAN = 10.0
"""It is sheared by so many degrees over a clip, at most."""
TREMBLE = 0.06
"""Standard deviation of a frame from the way between, over the most that there is in a clip."""
ROOM = 1.2
"""A camera that draws back shows so many times the picture, at most: beyond its border lies its reflection."""


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


def seen_with_masks(
    picture: ImageArray, masks: Sequence[ByteMask], window: NDArray[np.float64], *, size: tuple[int, int]
) -> tuple[ImageArray, list[ByteMask]]:
    """Return a picture and masks of its size as they are seen through a window, as `seen_through` does each.

    They are packed into pictures of four channels: OpenCV warps four as fast as one, and twice as fast as three.
    """
    first = cv2.cvtColor(picture, cv2.COLOR_RGB2RGBA)
    if masks:
        cv2.insertChannel(masks[0], first, 3)
    packed = [first]
    for start in range(1, len(masks), 4):
        planes = list(masks[start : start + 4])
        packed.append(cv2.merge(planes + planes[:1] * (4 - len(planes))) if len(planes) > 1 else planes[0])
    warped = [seen_through(np.asarray(each, np.uint8), window, size=size) for each in packed]
    seen: list[ByteMask] = [np.asarray(cv2.extractChannel(warped[0], 3), np.uint8)] if masks else []
    for start, each in zip(range(1, len(masks), 4), warped[1:], strict=True):
        split = cv2.split(each) if each.ndim == 3 else [each]
        seen += [np.asarray(plane, np.uint8) for plane in split[: len(masks) - start]]
    return np.asarray(cv2.cvtColor(warped[0], cv2.COLOR_RGBA2RGB), np.uint8), seen


def draw_sway(frames: int, *, strength: float, most: float = GROWTH, rng: Generator) -> NDArray[np.float64]:
    """Draw how a thing turns, grows and leans over a clip, there or there and back, with a little trembling.

    Args:
        frames: Number of frames K.
        strength: 1 for up to `TURN`, `GROWTH` and `LEAN`; 0 for none.
        most: The thing never becomes larger than so many times.
        rng: Draws.

    Returns:
        K x 2 x 2: the linear map of each frame; that of the first changes nothing.
    """
    limits = strength * np.array([np.deg2rad(TURN), np.log(GROWTH), *np.tan(np.deg2rad([LEAN, LEAN]))])
    way = np.cumsum(rng.uniform(0.2, 1.8, size=frames))
    way = (way - way[0]) / max(way[-1] - way[0], 1e-9)
    if rng.random() < 0.3:
        way = 1 - np.abs(1 - 2 * way)
    values = (way[:, None] * rng.uniform(-1, 1, size=4) + rng.normal(0, TREMBLE, size=(frames, 4))) * limits
    values[0] = 0
    turn, grown, lean_x, lean_y = values.T
    scale = np.minimum(np.exp(grown), most)
    cos, sin, one = np.cos(turn), np.sin(turn), np.ones(frames)
    turned = scale * np.array([[cos, -sin], [sin, cos]])
    return np.asarray(np.einsum("ijk,jlk->kil", turned, np.array([[one, lean_x], [lean_y, one]])), np.float64)


def swayed(
    windows: Sequence[NDArray[np.float64]],
    *,
    shape: Sequence[int],
    size: tuple[int, int],
    strength: float,
    rng: Generator,
) -> tuple[NDArray[np.float64], ...]:
    """Let the windows on a picture of a shape turn, grow and lean about their middle, see `draw_sway`."""
    width, height = np.abs(windows[0][:, :2]) @ size[::-1]
    most = max(ROOM * min(shape[1] / width, shape[0] / height), 1.0)
    middle = (np.array(size[::-1]) - 1) / 2
    turned = []
    for window, linear in zip(windows, draw_sway(len(windows), strength=strength, most=most, rng=rng), strict=True):
        offset = window[:, 2] + window[:, :2] @ (middle - linear @ middle)
        turned.append(np.concatenate([window[:, :2] @ linear, offset[:, None]], axis=1))
    return tuple(turned)


def area_average(mask: ProbabilityArray | ByteMask, *, stride: int) -> ProbabilityArray:
    """Return the means of a mask's cells, stride x stride pixels each, so that thin parts weigh what they cover."""
    small = mask.shape[1] // stride, mask.shape[0] // stride
    means = cv2.resize(mask.astype(np.float32, copy=False), small, interpolation=cv2.INTER_AREA)
    # Averages of ones come out a rounding error above one, which a cross-entropy refuses.
    return np.asarray(np.clip(means / np.float32(255) if mask.dtype == np.uint8 else means, 0, 1), np.float32)


def as_bytes(mask: ProbabilityArray) -> ByteMask:
    """Return a mask of shares in [0, 1] as one of bytes."""
    return np.asarray(np.rint(mask * np.float32(255)), np.uint8)


def as_shares(mask: ByteMask) -> ProbabilityArray:
    """Return a mask of bytes as one of shares in [0, 1]."""
    return mask.astype(np.float32) / np.float32(255)


def unknown_motion(size: tuple[int, int]) -> MotionArray:
    """Return the motion of a frame of size (height, width) whose motion is not known: all zero."""
    return np.zeros((size[0] // MOTION_STRIDE, size[1] // MOTION_STRIDE, MOTION_CHANNELS), np.float32)
