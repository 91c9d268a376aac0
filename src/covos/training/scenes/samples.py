"""Samples: random views of a frame, with its mask and its motion, that covos-lite learns from.

The samples of one group share a flip and what lies over the screen; geometry and colour are drawn anew for each frame.
The motion is found as it is in use, with its errors, against the frame beside it. It is read from a video, or
made from a still picture: the camera moves a little, and the subject moves against the scene or stands still in it.
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
from covos.training.scenes.graphics import Graphics
from covos.training.scenes.layers import (
    Layer,
    Matrix,
    PictureArray,
    after,
    as_picture,
    compose,
    ground,
    image_of,
)
from covos.training.scenes.light import recolour, spoil
from covos.training.scenes.nearby import Near, near_ground
from covos.training.scenes.windows import ByteMask, area_average, seen_through, unknown_motion, window_matrix

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
SHAKE = (2.5, 6.0)
"""Step of a camera that shakes over one of a camera that does not."""
LOOK = 8
"""Stride of the cells that are looked at to see whether a view shows the subject."""


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
    """A frame beside the one that is viewed, in its scene: a successor if it is after, else a predecessor."""

    layers: tuple[Layer, ...]
    after: bool


class Shot(NamedTuple):
    """All that there is to be viewed of a frame.

    Attributes:
        layers: From the ground, which all windows are drawn for and whose matrix is the identity, to the one on top.
        valid: False where the annotation is void, of the ground's shape; None if it is void nowhere.
        neighbour: The frame that shows the motion; None if the motion is not to be known.
    """

    layers: tuple[Layer, ...]
    valid: NDArray[np.bool_] | None = None
    neighbour: Neighbour | None = None


def video_neighbour(video: Video, record: FrameRecord, *, most: int, rng: Generator) -> Neighbour | None:
    """Draw a frame before or after one of a video, ``most`` frames away at most; None if it is alone.

    The next frame is as likely as all others together.
    """
    index = video.frames.index(record)
    later = bool(rng.random() < 0.5)
    gap = 1 if most == 1 or rng.random() < 0.5 else int(rng.integers(2, most + 1))
    for distance in (gap, 1):
        for candidate in (later, not later):
            other = index + (distance if candidate else -distance)
            if 0 <= other < len(video.frames):
                return Neighbour(layers=(ground(as_picture(read_image(video.frames[other]))),), after=candidate)
    return None


def still_neighbour(
    picture: PictureArray, *, near: tuple[Near, ...] = (), parallax: bool = False, rng: Generator
) -> Neighbour:
    """Make the frame before a still picture, as if it were one of a video.

    Near things move further than the scene. With parallax a part of the ground does too, now and then, and the
    subject never rests: else what is near would be all that moves.
    """
    camera = small_step(picture.shape, rng=rng)
    layers = [ground(picture).moved(camera)]
    if parallax and (not near or rng.random() < 0.5):
        layers.append(near_ground(picture, rng=rng).beside(camera, shape=picture.shape))
    if parallax or rng.random() >= RESTING:
        own = after(small_step(picture.shape, rng=rng), camera)
        # The ground that the subject uncovers shows the subject again: a flaw at its rim, where flow is wrong in any
        # case.
        layers.append(Layer(picture=picture, matrix=own, is_subject=True, endless=True))
    layers += [thing.beside(camera, shape=picture.shape) for thing in near]
    return Neighbour(layers=tuple(layers), after=False)


def small_step(shape: tuple[int, ...], *, times: float = 1.0, rng: Generator) -> Matrix:
    """Draw the 2 x 3 matrix by which a picture moves from one frame to the next, about its middle.

    With ``times``, it shifts and turns by so many times as much.
    """
    height, width = shape[:2]
    turn, zoom = float(rng.normal(0, TURN_DEVIATION)) * times, float(np.exp(rng.normal(0, ZOOM_DEVIATION)))
    matrix = np.array(cv2.getRotationMatrix2D((width / 2, height / 2), turn, zoom), np.float64)
    # Slow steps are as common as fast ones.
    matrix[:, 2] += rng.normal(0, STEP_DEVIATION * width * times, size=2) * rng.random()
    return matrix


def draw_framing(rng: Generator, *, zoom: tuple[float, float]) -> Framing:
    """Draw the window of a group; zoom is the range of its scale."""
    return Framing(
        scale=float(rng.uniform(*zoom)),
        center=(float(rng.uniform(0, 1)), float(rng.uniform(0, 1))),
        stretch=float(np.exp(rng.uniform(-0.25, 0.25))),
        flip=bool(rng.random() < 0.5),
    )


def draw_sample(
    shot: Shot,
    *,
    window: Matrix,
    size: tuple[int, int],
    graphics: Graphics | None = None,
    shaken: bool = False,
    spoiled: bool = False,
    rng: Generator,
) -> Sample:
    """Draw one sample: a shot as it is seen through a window, with graphics over it.

    The neighbour shows the motion, through the same window and below the same graphics; without one it is unknown. A
    camera that is shaken sees it through a window some way off.
    """
    seen, target, weight = _seen(shot, window, size=size, graphics=graphics)
    motion = unknown_motion(size)
    if shot.neighbour is not None:
        if shaken:
            times = float(rng.uniform(*SHAKE))
            window = after(window, small_step(size, times=times, rng=rng))
        beside = image_of(compose(shot.neighbour.layers, window, size=size))
        # Motion of the good picture: a fault of one frame of a video spoils its neighbours, but the flow is of their
        # match.
        motion = residual_motion(seen, beside if graphics is None else graphics.over(beside), size=size)
        if shot.neighbour.after:
            motion[..., :2] *= -1
    coloured = recolour(seen, rng=rng)
    shown = spoil(coloured, rng=rng) if spoiled else coloured
    return Sample(image=shown, target=target, weight=weight, motion=motion)


def plain_sample(shot: Shot, *, size: tuple[int, int]) -> Sample:
    """Return the sample of a whole shot as it is: nothing is drawn."""
    height, width = shot.layers[0].picture.shape[:2]
    center = np.array([(width - 1) / 2, (height - 1) / 2])
    window = window_matrix(center=center, extent=(width, height), degrees=0, flip=False, size=size)
    seen, target, weight = _seen(shot, window, size=size, graphics=None)
    motion = unknown_motion(size)
    if shot.neighbour is not None:
        beside = image_of(compose(shot.neighbour.layers, window, size=size))
        motion = residual_motion(seen, beside, size=size)
        if shot.neighbour.after:
            motion[..., :2] *= -1
    return Sample(image=seen, target=target, weight=weight, motion=motion)


def _seen(
    shot: Shot, window: Matrix, *, size: tuple[int, int], graphics: Graphics | None
) -> tuple[ImageArray, ProbabilityArray, ProbabilityArray]:
    """Return the picture through a window, and the target and its weight, which are cells."""
    # Reflection fills what lies outside the picture, in the mask too: no border that gives the subject away.
    view = compose(shot.layers, window, size=size)
    seen, subject = image_of(view), view[..., 3]
    if graphics is not None:
        seen, subject = graphics.over(seen), graphics.hidden(subject)
    target = area_average(subject, stride=TARGET_STRIDE)
    if shot.valid is None or shot.valid.all():
        return seen, target, np.ones_like(target)
    known = shot.layers[0].picture.copy()
    known[..., 3] = np.where(shot.valid, 255, 0)
    return seen, target, area_average(compose((ground(known),), window, size=size)[..., 3], stride=TARGET_STRIDE)


def share_seen(subject: ByteMask, window: Matrix, *, size: tuple[int, int]) -> float:
    """Estimate the share of a view that the subject of a picture covers, from few of its pixels."""
    coarse = seen_through(subject, window * (LOOK, LOOK, 1), size=(size[0] // LOOK, size[1] // LOOK))
    return float(coarse.mean()) / 255


def draw_window(shape: tuple[int, ...], *, framing: Framing, size: tuple[int, int], rng: Generator) -> Matrix:
    """Draw the window of one sample of a group, into a picture of this shape."""
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
