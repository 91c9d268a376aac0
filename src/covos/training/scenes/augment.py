"""Random views of a frame and its mask.

The views of one group share a flip; geometry and colour are drawn anew for each frame. Everything is drawn from
one numpy `Generator`, so that a seed gives the same views.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from covos.core.types import ImageArray, ProbabilityArray
from covos.engines.motion import MotionArray, residual_motion
from covos.models.lite import MOTION_CHANNELS, MOTION_STRIDE

TARGET_STRIDE = 2
"""Targets are area averages at the stride of the network's output, so that thin parts weigh what they cover."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One training frame.

    Attributes:
        image: H x W x 3 uint8 RGB.
        target: H/2 x W/2 float32 in [0, 1], the share of the cell that the subject covers.
        weight: H/2 x W/2 float32 in [0, 1]; 0 where the annotation is void.
        motion: H/4 x W/4 x 4 float32 as from `residual_motion`; all zero if it is not known.
    """

    image: ImageArray
    target: ProbabilityArray
    weight: ProbabilityArray
    motion: MotionArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A frame beside the one that is viewed.

    Attributes:
        image: H x W x 3 uint8 RGB, of the frame's shape.
        after: The successor, not the predecessor.
    """

    image: ImageArray
    after: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """Where a group of views looks, in shares of the picture; each view then departs from it a little.

    Attributes:
        scale: Width of the window over the width of the largest window of its aspect that fits.
        center: (x, y) of the window in [0, 1], of the room that it has to move.
        stretch: Aspect of the window over the aspect of the view.
        flip: Mirrored left to right.
    """

    scale: float
    center: tuple[float, float]
    stretch: float
    flip: bool


def draw_framing(rng: Generator, *, zoom: tuple[float, float]) -> Framing:
    """Draw where a group looks.

    Args:
        rng: Source of everything drawn.
        zoom: Range of `Framing.scale`.
    """
    return Framing(
        scale=float(rng.uniform(*zoom)),
        center=(float(rng.uniform(0, 1)), float(rng.uniform(0, 1))),
        stretch=float(np.exp(rng.uniform(-0.25, 0.25))),
        flip=bool(rng.random() < 0.5),
    )


def draw_view(
    image: ImageArray,
    foreground: ProbabilityArray,
    valid: NDArray[np.bool_],
    *,
    neighbour: Neighbour | None,
    framing: Framing,
    size: tuple[int, int],
    spoiled: bool = False,
    rng: Generator,
) -> View:
    """Draw one view.

    Args:
        image: H x W x 3 uint8 RGB.
        foreground: H x W float32 in [0, 1].
        valid: H x W bool; False where the annotation is void.
        neighbour: To see the motion by, through the same window; None leaves it unknown.
        framing: Shared by the group.
        size: (height, width) of the view, multiples of 4.
        spoiled: Whether the picture is to be made bad, see `spoil`.
        rng: Source of everything drawn.
    """
    matrix = _window(image.shape[:2], framing=framing, size=size, rng=rng)
    height, width = size
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    # Reflection fills what lies outside the picture, in the mask too: no border that gives the subject away.
    warped = cv2.warpAffine(image, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    mask = cv2.warpAffine(foreground, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    small = (width // TARGET_STRIDE, height // TARGET_STRIDE)
    target = cv2.resize(mask, small, interpolation=cv2.INTER_AREA)
    if valid.all():
        weight = np.ones_like(target)
    else:
        seen = cv2.warpAffine(
            valid.astype(np.float32), matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT_101
        )
        weight = cv2.resize(seen, small, interpolation=cv2.INTER_AREA)
    seen_image = _colour(np.asarray(warped, np.uint8), rng=rng)
    return View(
        # Of the good picture: what spoils a frame of a video spoils its neighbours, but the flow is of their match.
        motion=_motion(np.asarray(warped, np.uint8), neighbour, matrix, size=size),
        image=spoil(seen_image, rng=rng) if spoiled else seen_image,
        # Area averages of ones come out a rounding error above one, which a cross-entropy refuses.
        target=np.clip(target, 0, 1, dtype=np.float32),
        weight=np.clip(weight, 0, 1, dtype=np.float32),
    )


def _motion(
    view: ImageArray, neighbour: Neighbour | None, matrix: NDArray[np.float64], *, size: tuple[int, int]
) -> MotionArray:
    if neighbour is None:
        return np.zeros((size[0] // MOTION_STRIDE, size[1] // MOTION_STRIDE, MOTION_CHANNELS), np.float32)
    beside = cv2.warpAffine(
        neighbour.image,
        matrix,
        (size[1], size[0]),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    motion = residual_motion(view, np.asarray(beside, np.uint8), size=size)
    if neighbour.after:
        motion[..., :2] *= -1
    return motion


def _window(shape: tuple[int, ...], *, framing: Framing, size: tuple[int, int], rng: Generator) -> NDArray[np.float64]:
    """2 x 3 matrix from the view's pixels to the picture's."""
    height, width = shape[:2]
    aspect = size[1] / size[0] * framing.stretch
    scale = framing.scale * float(np.exp(rng.uniform(-0.15, 0.15)))
    # A window that covers a wide picture's height, or a tall picture's width; tall subjects are then cut now and
    # then, as they are in video, and now and then seen whole with the picture's reflection beside them.
    fit = min(width, height * aspect)
    cover = min(max(width, height * aspect), 1.6 * fit)
    whole = fit * (cover / fit) ** float(rng.uniform(0, 1))
    window_w = whole * scale
    window_h = window_w / aspect
    shift = rng.uniform(-0.06, 0.06, size=2)
    center_x = width / 2 + (framing.center[0] - 0.5) * max(width - window_w, 0) + shift[0] * window_w
    center_y = height / 2 + (framing.center[1] - 0.5) * max(height - window_h, 0) + shift[1] * window_h
    angle = np.deg2rad(rng.uniform(-10, 10))
    per_x, per_y = window_w / size[1], window_h / size[0]
    cos, sin = np.cos(angle), np.sin(angle)
    linear = np.array([[cos * per_x, -sin * per_y], [sin * per_x, cos * per_y]])
    if framing.flip:
        linear[:, 0] *= -1
    offset = np.array([center_x, center_y]) - linear @ np.array([(size[1] - 1) / 2, (size[0] - 1) / 2])
    return np.concatenate([linear, offset[:, None]], axis=1)


def spoil(image: ImageArray, *, rng: Generator) -> ImageArray:
    """Blur a picture, by defocus or motion, make it coarse, dim or noisy, so that little is left to go by.

    Args:
        image: H x W x 3 uint8 RGB.
        rng: Source of everything drawn.
    """
    height, width = image.shape[:2]
    kind = int(rng.integers(5))
    if kind == 0:
        return _bytes(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(2.0, 5.0))))
    if kind == 1:
        return _bytes(cv2.filter2D(image, -1, _motion_blur(int(rng.integers(9, 25)), rng=rng)))
    if kind == 2:
        factor = float(rng.uniform(3, 7))
        small = cv2.resize(image, (int(width / factor), int(height / factor)), interpolation=cv2.INTER_AREA)
        return _bytes(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR))
    if kind == 3:
        image = _bytes(cv2.convertScaleAbs(image, alpha=float(rng.uniform(0.12, 0.4))))
    # A quarter as many numbers as pixels, drawn once for all channels: noise of a dark picture is coarse.
    noise = rng.normal(0, rng.uniform(8, 30), size=(height // 2, width // 2)).astype(np.float32)
    grain = cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.clip(image + grain[..., None], 0, 255), np.uint8)


def _motion_blur(length: int, *, rng: Generator) -> NDArray[np.float32]:
    """A line through the middle of a square of this side, that sums to 1."""
    angle = rng.uniform(0, np.pi)
    half = (length - 1) / 2
    end = np.array([np.cos(angle), np.sin(angle)]) * half
    start = tuple(np.round(half - end).astype(int).tolist())
    stop = tuple(np.round(half + end).astype(int).tolist())
    kernel = np.zeros((length, length), np.float32)
    cv2.line(kernel, start, stop, 1.0)
    return np.asarray(kernel / kernel.sum(), np.float32)


def _colour(image: ImageArray, *, rng: Generator) -> ImageArray:
    """Brightness, contrast, saturation and tint; now and then blur, grey or JPEG blocks."""
    gain = rng.uniform(0.7, 1.3)
    bias = rng.uniform(-25, 25)
    tint = rng.uniform(0.88, 1.12, size=3)
    saturation = rng.uniform(0.5, 1.4) if rng.random() < 0.6 else 1.0
    if rng.random() < 0.05:
        saturation = 0.0
    if saturation != 1.0:
        grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        image = _bytes(cv2.addWeighted(image, saturation, grey, 1 - saturation, 0))
    # One look-up table a channel instead of float arithmetic on the whole picture.
    table = np.clip((np.arange(256)[:, None] - 127) * gain * tint + 127 + bias, 0, 255).astype(np.uint8)
    image = _bytes(cv2.LUT(image, table[None]))
    draw = rng.random()
    if draw < 0.1:
        return _bytes(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.5, 1.8))))
    if draw < 0.2:
        quality = int(rng.integers(20, 70))
        _, code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return _bytes(cv2.imdecode(code, cv2.IMREAD_COLOR))
    return image


def _bytes(image: object) -> ImageArray:
    """What OpenCV returns, as the type that it is: its stubs admit any."""
    return np.asarray(image, np.uint8)
