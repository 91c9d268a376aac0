"""Small moving subjects out of still pictures: a subject cut out of one picture moves over the background of another.

Still pictures show their subject large, and few training videos show theirs small. Without these groups a network
learns that subjects are large and misses a car at the far end of a track.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from covos.types import ImageArray, MaskArray, ProbabilityArray

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
