"""Samples: random views of a frame, with its mask and its motion, that covos-lite learns from.

The samples of one group share a flip; geometry and colour are drawn anew for each frame. The motion is found as it is
in use, with its errors, against the frame beside it. That is read from a video, or made from a still picture: the
camera moves a little, and the subject moves against the scene or stands still in it.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from covos.core.types import ImageArray, ProbabilityArray
from covos.data import FrameRecord, Video, read_image
from covos.engines.motion import MotionArray, residual_motion
from covos.training.scenes.cutouts import Cutout, blend
from covos.training.scenes.light import recolour, spoil
from covos.training.scenes.windows import PictureT, area_average, seen_through, unknown_motion, window_matrix

TARGET_STRIDE = 2
"""Stride of the network's output."""
STEP_DEVIATION = 0.02
"""Standard deviation of a step from frame to frame, in shares of the picture's width."""
TURN_DEVIATION = 0.4
"""Standard deviation of a turn from frame to frame, in degrees."""
ZOOM_DEVIATION = 0.006
"""Standard deviation of the logarithm of a change of size."""
RESTING = 0.25
"""Share of the still pictures whose subject does not move against the scene."""
LAST_ROW = (0.0, 0.0, 1.0)
"""Makes a 2 x 3 matrix a square one."""


class Sample(NamedTuple):
    """One training frame: the target is the share of each cell that the subject covers.

    Picture of H x W, target and weight of H/2 x W/2, motion of H/4 x W/4, all zero if it is not known.
    """

    image: ImageArray
    target: ProbabilityArray
    weight: ProbabilityArray
    motion: MotionArray


class Framing(NamedTuple):
    """Window that a group of samples shares, in shares of the picture; each sample departs from it a little.

    Attributes:
        scale: Width of the window over the width of the largest window of its aspect that fits.
        center: (x, y) of the window in [0, 1], of the room that it has to move.
        stretch: Aspect of the window over the aspect of the view.
        flip: True if it is mirrored left to right.
    """

    scale: float
    center: tuple[float, float]
    stretch: float
    flip: bool


class Neighbour(NamedTuple):
    """A frame beside the one that is viewed, of its shape: a successor if it is after, else a predecessor."""

    image: ImageArray
    after: bool


def video_neighbour(video: Video, record: FrameRecord, *, most: int, rng: Generator) -> Neighbour | None:
    """Draw a frame before or after one of a video, ``most`` frames away at most; None if it is alone.

    The next frame is as likely as all others together.
    """
    index = video.frames.index(record)
    after = bool(rng.random() < 0.5)
    gap = 1 if most == 1 or rng.random() < 0.5 else int(rng.integers(2, most + 1))
    for distance in (gap, 1):
        for candidate in (after, not after):
            other = index + (distance if candidate else -distance)
            if 0 <= other < len(video.frames):
                return Neighbour(image=read_image(video.frames[other]), after=candidate)
    return None


def still_neighbour(image: ImageArray, foreground: ProbabilityArray, *, rng: Generator) -> Neighbour:
    """Make the frame before a still picture, as if it were one of a video."""
    camera = small_step(image.shape, rng=rng)
    scene = warp(image, camera)
    if rng.random() < RESTING:
        return Neighbour(image=scene, after=False)
    step = small_step(image.shape, rng=rng)
    own = (np.vstack([step, LAST_ROW]) @ np.vstack([camera, LAST_ROW]))[:2]
    # What the subject uncovers shows the subject again: a flaw at its rim, where flow is wrong in any case.
    return Neighbour(image=blend(scene, Cutout(warp(image, own), warp(foreground, own))), after=False)


def small_step(shape: tuple[int, ...], *, rng: Generator) -> NDArray[np.float64]:
    """Draw the 2 x 3 matrix by which a picture moves from one frame to the next, about its middle."""
    height, width = shape[:2]
    turn, zoom = float(rng.normal(0, TURN_DEVIATION)), float(np.exp(rng.normal(0, ZOOM_DEVIATION)))
    matrix = np.array(cv2.getRotationMatrix2D((width / 2, height / 2), turn, zoom), np.float64)
    # Slow steps are as common as fast ones.
    matrix[:, 2] += rng.normal(0, STEP_DEVIATION * width, size=2) * rng.random()
    return matrix


def warp(picture: PictureT, matrix: NDArray[np.float64]) -> PictureT:
    """Move a picture or a mask; what comes in at the border is its reflection."""
    size = picture.shape[1], picture.shape[0]
    return np.asarray(cv2.warpAffine(picture, matrix, size, borderMode=cv2.BORDER_REFLECT_101), picture.dtype)


def draw_framing(rng: Generator, *, zoom: tuple[float, float]) -> Framing:
    """Draw the window of a group; zoom is the range of its scale."""
    return Framing(
        scale=float(rng.uniform(*zoom)),
        center=(float(rng.uniform(0, 1)), float(rng.uniform(0, 1))),
        stretch=float(np.exp(rng.uniform(-0.25, 0.25))),
        flip=bool(rng.random() < 0.5),
    )


def draw_sample(
    image: ImageArray,
    foreground: ProbabilityArray,
    valid: NDArray[np.bool_] | None,
    *,
    neighbour: Neighbour | None,
    framing: Framing,
    size: tuple[int, int],
    spoiled: bool = False,
    rng: Generator,
) -> Sample:
    """Draw one sample of a frame; ``valid`` is False where the annotation is void, None if it is void nowhere.

    The neighbour shows the motion, through the same window; without one it is unknown.
    """
    window = _draw_window(image.shape, framing=framing, size=size, rng=rng)
    # Reflection fills what lies outside the picture, in the mask too: no border that gives the subject away.
    seen = seen_through(image, window, size=size)
    target = area_average(seen_through(foreground, window, size=size), stride=TARGET_STRIDE)
    if valid is None or valid.all():
        weight = np.ones_like(target)
    else:
        weight = area_average(seen_through(valid.astype(np.float32), window, size=size), stride=TARGET_STRIDE)
    motion = unknown_motion(size)
    if neighbour is not None:
        # Of the good picture: what spoils a frame of a video spoils its neighbours, but the flow is of their match.
        motion = residual_motion(seen, seen_through(neighbour.image, window, size=size), size=size)
        if neighbour.after:
            motion[..., :2] *= -1
    coloured = recolour(seen, rng=rng)
    shown = spoil(coloured, rng=rng) if spoiled else coloured
    return Sample(image=shown, target=target, weight=weight, motion=motion)


def _draw_window(
    shape: tuple[int, ...], *, framing: Framing, size: tuple[int, int], rng: Generator
) -> NDArray[np.float64]:
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
    return window_matrix(
        center=np.array([center_x, center_y]),
        extent=(window_w, window_h),
        degrees=rng.uniform(-10, 10),
        flip=framing.flip,
        size=size,
    )
