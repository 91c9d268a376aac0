"""Staged clips: several objects that cross, hide, leave and come back, with the truth of every frame. For measuring.

A clip depends on its number and on what it is made of alone. Without pictures, textured shapes move over a textured
ground: anyone can make these. With pictures, things are cut out of some and moved over others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from covos.core.errors import InputError
from covos.core.types import ImageArray, LabelArray
from covos.data import Dataset, Video, read_foreground, read_image
from covos.training.pools import only_held_back
from covos.training.scenes.cutouts import Cutout, cut_out_subject, placement, shrunk
from covos.training.scenes.groups import background_window
from covos.training.scenes.sprites import Sprite, render
from covos.training.scenes.windows import ByteMask, draw_camera

Plot: TypeAlias = Literal["crossing", "hiding", "leaving", "twins"]
"""Objects pass in front of each other; one is hidden for a while by a thing that is not an object; one
leaves the view and comes back; two that look the same cross."""
PLOTS: tuple[Plot, ...] = get_args(Plot)
CLIPS = 10
FRAMES = 40
SIZE = (240, 416)
SEED = 2020
LENGTH = (0.28, 0.42)
"""Longer side of an object over the height of the view."""
LEAST_SIDE = 60
"""Smaller cut-outs, in pixels, are not cast."""
TRIES = 40
"""Pictures that are looked at for a window without a subject."""
GRAINS = (3, 9, 27)
"""Cells across a texture, coarse to fine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedClip:
    """A clip and its truth.

    Attributes:
        name: With the plot and the number of objects.
        images: K x H x W x 3 uint8 RGB.
        labels: K x H x W uint8; 0 = background, objects from 1, each of which is there in the first frame.
    """

    name: str
    images: ImageArray
    labels: LabelArray


Cast: TypeAlias = Callable[[Generator], Cutout]
"""Draws the picture of a thing."""
Ground: TypeAlias = Callable[[Generator], ImageArray]
"""Draws what lies below everything."""


def staged_clip(
    number: int,
    *,
    cast: Cast | None = None,
    ground: Ground | None = None,
    frames: int = FRAMES,
    size: tuple[int, int] = SIZE,
    seed: int = SEED,
) -> StagedClip:
    """Make a clip.

    Args:
        number: From 0; its plot is that of this place in `PLOTS`, and it has 2 to 4 objects.
        cast: Draws things that move; textured shapes if None.
        ground: Draws the picture below them; a texture if None.
        frames: Number of frames.
        size: (height, width).
        seed: Seed of everything drawn.
    """
    rng = np.random.default_rng((seed, number))
    plot = PLOTS[number % len(PLOTS)]
    objects = 2 + (number // len(PLOTS) + number) % 3
    below = (ground or textured_ground)(rng)
    windows = draw_camera(below.shape, frames=frames, size=size, zoom=(0.7, 0.9), calm=True, rng=rng)
    pictures = [shrunk((cast or textured_shape)(rng)) for _ in range(objects)]
    if plot == "twins":
        pictures[1] = pictures[0]
    ways = _ways(plot, objects, frames=frames, rng=rng)
    sprites = [_along(picture, way, size=size, rng=rng) for picture, way in zip(pictures, ways, strict=True)]
    if plot == "hiding":
        sprites.append(_post(frames=frames, size=size, rng=rng))
    images, labels = [], []
    for index in range(frames):
        image, masks = render(below, [], windows[index], sprites, frame=index, size=size)
        noise = rng.normal(0, 2, size=image.shape)
        images.append(np.clip(image + noise, 0, 255).astype(np.uint8))
        labels.append(_labels(masks[:objects]))
    return StagedClip(name=f"{number:02}-{plot}-{objects}", images=np.stack(images), labels=np.stack(labels))


def textured_shape(rng: Generator) -> Cutout:
    """A round or pointed shape in colours of its own."""
    side = 160
    angle = np.arctan2(*np.indices((side, side)) - side / 2)
    radius = np.hypot(*(np.indices((side, side)) - side / 2)) / (side / 2)
    border = np.full_like(angle, 0.68)
    for wave in range(2, 6):
        border += rng.uniform(-0.4, 0.4) / wave * np.cos(wave * angle + rng.uniform(0, 2 * np.pi))
    alpha = np.clip((np.minimum(border, 0.97) - radius) * side / 4, 0, 1).astype(np.float32)
    base = _colour(rng, saturation=200, value=210)
    return Cutout(_texture((side, side), base=base, contrast=55, rng=rng), alpha)


def textured_ground(rng: Generator) -> ImageArray:
    """Something like a lawn or a wall."""
    base = _colour(rng, saturation=60, value=130)
    return _texture((400, 640), base=base, contrast=30, rng=rng)


def _colour(rng: Generator, *, saturation: int, value: int) -> NDArray[np.uint8]:
    pixel = np.array([[[rng.integers(180), saturation, value]]], np.uint8)
    return np.asarray(cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0], np.uint8)


def _texture(size: tuple[int, int], *, base: NDArray[np.uint8], contrast: float, rng: Generator) -> ImageArray:
    image = np.tile(base.astype(np.float32), (*size, 1))
    for grain in GRAINS:
        rows, columns = (max(grain * side // min(size), 2) for side in size)
        # Light varies more than colour does.
        cells = rng.normal(size=(rows, columns, 1)) + 0.35 * rng.normal(size=(rows, columns, 3))
        cells *= contrast / len(GRAINS) ** 0.5
        image += cv2.resize(cells.astype(np.float32), size[::-1], interpolation=cv2.INTER_CUBIC)
    return np.clip(image, 0, 255).astype(np.uint8)


Way: TypeAlias = NDArray[np.float64]
"""K x 2: (x, y) of the middle of a thing in each frame, in shares of the view."""


def _ways(plot: Plot, objects: int, *, frames: int, rng: Generator) -> list[Way]:
    time = np.linspace(0, 1, frames)
    if plot in ("crossing", "twins"):
        ends = [((0.2, 0.45), (0.8, 0.55)), ((0.8, 0.58), (0.2, 0.42))]
    elif plot == "hiding":
        ends = [((0.2, 0.42), (0.82, 0.42)), ((0.78, 0.75), (0.7, 0.72))]
    else:
        ends = [((0.25, 0.45), (0.25, 0.5)), ((0.65, 0.6), (0.5, 0.4))]
    for k in range(2, objects):
        start = (0.5 + 0.25 * (-1) ** k, 0.22 if k == 2 else 0.82)
        ends.append((start, (start[0] + rng.uniform(-0.15, 0.15), start[1] + rng.uniform(-0.1, 0.1))))
    ways = []
    for k, (start, end) in enumerate(ends):
        bow = 0.06 * np.sin(np.pi * time)[:, None] * rng.uniform(-1, 1, size=2)
        way = np.array(start) + time[:, None] * (np.array(end) - np.array(start)) + bow
        if plot == "leaving" and k == 0:
            # Out over the left border in the second quarter, away for a fifth of the clip, and back.
            way[:, 0] -= 0.75 * np.clip(np.minimum(time - 0.15, 0.8 - time) / 0.2, 0, 1)
        ways.append(way)
    return ways


def _along(cutout: Cutout, way: Way, *, size: tuple[int, int], rng: Generator) -> Sprite:
    length = rng.uniform(*LENGTH) * size[0] / max(cutout.alpha.shape)
    mirror, phase = rng.random() < 0.5, rng.uniform(0, 2 * np.pi)
    placements = []
    for index, spot in enumerate(way):
        beat = phase + 2 * np.pi * index / 20
        scale, turn = length * (1 + 0.06 * np.sin(beat)), 6 * np.cos(beat)
        center = spot * size[::-1]
        placements.append(placement(cutout.alpha.shape, center=center, scale=scale, turn=turn, mirror=mirror))
    return Sprite(cutout=cutout, placements=tuple(placements), bends=None, followed=True)


def _post(*, frames: int, size: tuple[int, int], rng: Generator) -> Sprite:
    """Make what hides: a plank from top to bottom, wide enough for a whole object."""
    height, width = size[0], round(0.48 * size[0])
    base = _colour(rng, saturation=70, value=110)
    plank = Cutout(_texture((height, width), base=base, contrast=25, rng=rng), np.ones((height, width), np.float32))
    matrix = placement((height, width), center=np.array([0.5 * size[1], 0.5 * height]), scale=1.0)
    return Sprite(cutout=plank, placements=(matrix,) * frames, bends=None, followed=False)


def _labels(masks: Sequence[ByteMask]) -> LabelArray:
    stacked = np.stack(masks)
    return np.where(stacked.max(axis=0) > 127, stacked.argmax(axis=0) + 1, 0).astype(np.uint8)


def cast_and_ground(datasets: Sequence[Dataset]) -> tuple[Cast, Ground]:
    """Things and grounds out of the pictures that no training draws (see `covos.training.pools`).

    Args:
        datasets: Sets of pictures with masks, and others, which are left out.

    Raises:
        InputError: There are none that are large enough for pictures to be held back.
    """
    pictures = [video for dataset in only_held_back(datasets) for video in dataset]
    if not pictures:
        raise InputError(
            "no picture is held back from training",
            why="there are no sets of pictures with masks, or only small ones, which are trained on whole",
            fix="name a folder that holds a large set, or leave it out: textured shapes need no data",
        )

    def draw(rng: Generator) -> Video:
        return pictures[int(rng.integers(len(pictures)))]

    def cast(rng: Generator) -> Cutout:
        while (subject := cut_out_subject(draw(rng))) is None or min(subject.alpha.shape) < LEAST_SIDE:
            pass
        return subject

    def ground(rng: Generator) -> ImageArray:
        for _ in range(TRIES):
            picture = draw(rng)
            subject = read_foreground(picture, picture.frames[0]).probability > 0.5
            window = background_window(subject, rng=rng)
            if window is not None:
                return read_image(picture.frames[0])[window]
        return textured_ground(rng)

    return cast, ground
