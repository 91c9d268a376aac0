"""The frame beside a frame: read from a video, or made from a still picture.

A still picture says nothing of motion. Its neighbour is made: the camera moves a little, and the subject moves
against the scene or stands still in it. The flow between the two is then found as it is in use, with its errors.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from covos.core.types import ImageArray, ProbabilityArray
from covos.data import FrameRecord, Video, read_image
from covos.training.scenes.cutouts import Cutout, blend
from covos.training.scenes.windows import PictureT

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
