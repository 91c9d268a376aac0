"""Small moving subjects out of still pictures: a subject cut out of one picture moves over the background of another.

Still pictures show their subject large, and few training videos show theirs small. Without these groups a network
learns that subjects are large and misses a car at the far end of a track.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from covos.core.types import ImageArray, MaskArray, ProbabilityArray
from covos.data import FrameRecord, Video, read_image
from covos.training.scenes.augment import Neighbour

HEIGHT_SHARE = (0.08, 0.4)
"""Height of the pasted subject over the height of the background."""
DISTRACTED_HEIGHT_SHARE = (0.2, 0.8)
"""The same beside a subject that was there before: as large as that one may be."""
OWN_STEP = (0.004, 0.05)
"""How far the subject moves by itself from one frame to the next, in shares of the background."""
STEP = 0.2
"""How far the subject moves between two frames of a group, at most, in shares of the background."""
EMPTY = 0.002
"""A window is background if its own subject covers less than this share."""
TRIES = 8


def background_window(image: ImageArray, subject: MaskArray, *, rng: Generator) -> tuple[slice, slice] | None:
    """A window of a picture that its own subject is not in.

    Args:
        image: H x W x 3 uint8 RGB.
        subject: H x W bool.
        rng: Source of everything drawn.

    Returns:
        Rows and columns, at least half of each side; None if none was found.
    """
    height, width = image.shape[:2]
    for _ in range(TRIES):
        share = rng.uniform(0.5, 1.0)
        rows, columns = int(height * share), int(width * share)
        top, left = int(rng.integers(0, height - rows + 1)), int(rng.integers(0, width - columns + 1))
        window = slice(top, top + rows), slice(left, left + columns)
        if subject[window].mean() < EMPTY:
            return window
    return None


def cut_out(image: ImageArray, foreground: ProbabilityArray) -> tuple[ImageArray, ProbabilityArray] | None:
    """The subject's bounding box; None if there is no subject."""
    x, y, width, height = cv2.boundingRect((foreground > 0.5).astype(np.uint8))
    if not width:
        return None
    box = slice(y, y + height), slice(x, x + width)
    return image[box], foreground[box]


def own_step(*, rng: Generator) -> NDArray[np.float64]:
    """(x, y) by which a subject moves from one frame to the next, in shares of the background; never nothing."""
    angle = rng.uniform(0, 2 * np.pi)
    length = float(np.exp(rng.uniform(*np.log(OWN_STEP))))
    return np.array([length * np.cos(angle), length * np.sin(angle)])


def paste(
    background: ImageArray,
    subject: ImageArray,
    alpha: ProbabilityArray,
    *,
    height_share: float,
    center: NDArray[np.float64],
) -> tuple[ImageArray, ProbabilityArray]:
    """Paste a subject over a background.

    Args:
        background: H x W x 3 uint8 RGB.
        subject: h x w x 3 uint8 RGB.
        alpha: h x w float32 in [0, 1].
        height_share: Height of the pasted subject over H; less if it would be wider than the background.
        center: 2 numbers, (x, y) of the subject's middle, in shares of the background; it may hang over the border.

    Returns:
        The picture, and the pasted mask, H x W float32 in [0, 1].
    """
    height, width = background.shape[:2]
    scale = min(height_share * height / subject.shape[0], width / subject.shape[1])
    # The pasted pixels are where this matrix sends them; the rest of the plane is transparent.
    offset = center * (width, height) - scale * np.array([subject.shape[1], subject.shape[0]]) / 2
    matrix = np.array([[scale, 0, offset[0]], [0, scale, offset[1]]])
    if scale < 0.5:  # shrink by area first: a linear warp that skips pixels aliases
        size = max(round(subject.shape[1] * scale), 1), max(round(subject.shape[0] * scale), 1)
        subject = np.asarray(cv2.resize(subject, size, interpolation=cv2.INTER_AREA), np.uint8)
        alpha = np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA), np.float32)
        matrix[:, :2] = np.eye(2)
    over = cv2.warpAffine(subject, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    mask = np.asarray(cv2.warpAffine(alpha.astype(np.float32), matrix, (width, height)), np.float32)
    mixed = background + (np.asarray(over, np.float32) - background) * mask[..., None]
    return np.clip(mixed + 0.5, 0, 255).astype(np.uint8), mask


def stand_in(
    scene: ImageArray,
    subjects: Sequence[tuple[ImageArray, ProbabilityArray]],
    *,
    height_share: float,
    rng: Generator,
) -> ImageArray:
    """A scene in which others like the subject stand about: a dancer before a crowd is told by motion alone.

    Args:
        scene: H x W x 3 uint8 RGB.
        subjects: From `cut_out`.
        height_share: As that of the subject; theirs are up to a third more or less.
        rng: Source of everything drawn.
    """
    for image, alpha in subjects:
        share = height_share * float(np.exp(rng.uniform(-0.3, 0.3)))
        scene, _ = paste(scene, image, alpha, height_share=share, center=rng.uniform(0.1, 0.9, size=2))
    return scene


# The frame beside a frame: read from a video, or made from a still picture.
#
# A still picture says nothing of motion. Its neighbour is made: the camera moves a little, and the subject moves
# against the scene or stands still in it. The flow between the two is then found as it is in use, with its errors.

PictureT = TypeVar("PictureT", ImageArray, ProbabilityArray)

MOVING_STEP = 0.02
"""Standard deviation of a step from frame to frame, in shares of the picture's width."""
TURN = 0.4
"""Of a turn, in degrees."""
ZOOM = 0.006
"""Of a change of size."""
RESTING = 0.25
"""Share of the still pictures whose subject does not move against the scene."""


def video_neighbour(video: Video, record: FrameRecord, *, most: int, rng: Generator) -> Neighbour | None:
    """A frame before or after one of a video; None if it is alone.

    Args:
        video: Of several frames.
        record: One of them.
        most: Frames to the neighbour, at most; the next one is as likely as all others together.
        rng: Source of everything drawn.
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
    """The frame before a still picture, as if it were one of a video.

    Args:
        image: H x W x 3 uint8 RGB.
        foreground: H x W float32 in [0, 1].
        rng: Source of everything drawn.
    """
    camera = small_step(image.shape, rng=rng)
    scene = warp(image, camera)
    if rng.random() < RESTING:
        return Neighbour(image=scene, after=False)
    own = _compose(small_step(image.shape, rng=rng), camera)
    # What the subject uncovers shows the subject again: a flaw at its rim, where flow is wrong in any case.
    alpha = warp(foreground, own)[..., None]
    mixed = scene + (warp(image, own).astype(np.float32) - scene) * alpha
    return Neighbour(image=np.clip(mixed + 0.5, 0, 255).astype(np.uint8), after=False)


def small_step(shape: tuple[int, ...], *, rng: Generator) -> NDArray[np.float64]:
    """2 x 3 matrix of how a picture moves from one frame to the next, about its middle."""
    height, width = shape[:2]
    turn, zoom = float(rng.normal(0, TURN)), float(np.exp(rng.normal(0, ZOOM)))
    matrix = np.array(cv2.getRotationMatrix2D((width / 2, height / 2), turn, zoom), np.float64)
    # Slow steps are as common as fast ones.
    matrix[:, 2] += rng.normal(0, MOVING_STEP * width, size=2) * rng.random()
    return matrix


def warp(picture: PictureT, matrix: NDArray[np.float64]) -> PictureT:
    """Move a picture or a mask; what comes in at the border is its reflection."""
    size = picture.shape[1], picture.shape[0]
    return np.asarray(cv2.warpAffine(picture, matrix, size, borderMode=cv2.BORDER_REFLECT_101), picture.dtype)


def _compose(outer: NDArray[np.float64], inner: NDArray[np.float64]) -> NDArray[np.float64]:
    last = np.array([[0.0, 0.0, 1.0]])
    return np.asarray((np.vstack([outer, last]) @ np.vstack([inner, last]))[:2], np.float64)
