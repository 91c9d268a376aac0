"""Objects of another video as sprites: they move and change their looks as they did there."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from covos.core.types import LabelArray
from covos.data import FrameRecord, Video, sample_group
from covos.masks import VOID
from covos.training.scenes.cutouts import Cutout
from covos.training.scenes.pictures import read_image, read_labels
from covos.training.scenes.sprites import FAR, Sprite
from covos.training.scenes.windows import draw_camera

NOTHING = Cutout(np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1), np.float32))
"""Cut-out of an object that is not there."""


def draw_records(video: Video, *, frames: int, max_gap: int, rng: Generator) -> tuple[FrameRecord, ...]:
    """Draw annotated frames of a video, forward or backward in time."""
    gap = int(rng.integers(1, max_gap + 1))
    records = sample_group(video, size=frames, max_gap=gap, rng=rng)
    return records[::-1] if rng.random() < 0.5 else records


def draw_ids(labels: LabelArray, *, most: int, rng: Generator) -> list[int]:
    """Draw objects of an annotation. Those that appear later have no first mask to be followed from."""
    ids = [int(identity) for identity in np.unique(labels) if identity not in (0, VOID)]
    rng.shuffle(ids)
    return ids[:most]


def draw_merged(
    video: Video,
    *,
    frames: int,
    size: tuple[int, int],
    zoom: tuple[float, float],
    max_gap: int,
    most: int,
    rng: Generator,
) -> list[Sprite]:
    """Cut out the objects of a video frame by frame, as a camera of their own sees them: one sprite each, followed.

    Args:
        video: Its first drawn frame says which objects there are.
        frames: Number of frames.
        size: (height, width) of the view.
        zoom: Range of the window's width over that of the largest that fits; no wider than that, for what is cut at
            the border of its video must not end inside the view.
        max_gap: Most annotated frames from one frame to the next.
        most: Objects, at most.
        rng: Draws.
    """
    records = draw_records(video, frames=frames, max_gap=max_gap, rng=rng)
    images = [read_image(record) for record in records]
    labels = [read_labels(video, record) for record in records]
    ids = draw_ids(labels[0], most=most, rng=rng)
    inside = min(zoom[0], 0.9), min(zoom[1], 0.9)
    windows = draw_camera(images[0].shape, frames=frames, size=size, zoom=inside, calm=True, rng=rng)
    into_view = [np.asarray(cv2.invertAffineTransform(window), np.float64) for window in windows]
    sprites = []
    for identity in ids:
        cutouts, placements = [], []
        for image, seen, matrix in zip(images, labels, into_view, strict=True):
            mask = (seen == identity).view(np.uint8)
            x, y, width, height = cv2.boundingRect(mask)
            box = slice(y, y + height), slice(x, x + width)
            cutouts.append(Cutout(image[box], mask[box].astype(np.float32)) if width else NOTHING)
            placements.append(_from(matrix, x, y) if width else _away(size))
        first, *later = cutouts
        sprites.append(
            Sprite(cutout=first, later=tuple(later), placements=tuple(placements), bends=None, followed=True)
        )
    return sprites


def _from(matrix: NDArray[np.float64], x: int, y: int) -> NDArray[np.float64]:
    """Return a matrix for the pixels of a box that begins at (x, y)."""
    moved = matrix.copy()
    moved[:, 2] += matrix[:, :2] @ (x, y)
    return moved


def _away(size: tuple[int, int]) -> NDArray[np.float64]:
    return np.array([[1.0, 0.0, FAR * size[1]], [0.0, 1.0, 0.0]])
