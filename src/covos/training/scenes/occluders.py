"""Hide an object for some frames: by a thing that comes in front of it, or by its way out of the view and back."""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from covos.core.types import ImageArray
from covos.training.pools import Pool
from covos.training.scenes.cutouts import Cutout, cut_out_subject, placement, shrunk
from covos.training.scenes.pictures import read_image
from covos.training.scenes.sprites import FAR, Sprite
from covos.training.scenes.windows import ByteMask

LARGER = (1.2, 1.7)
"""Size of what hides an object over that of the object."""
BAR = 0.5
"""Share of the bars, from top to bottom of the view, among what hides."""
ELSEWHERE = 0.5
"""Share of the objects that come back at another place than where they would have been."""

Outline: TypeAlias = NDArray[np.float64]
"""K x 4: the bounding box of an object in the view in each frame, as left, top, right, bottom in pixels."""


def hidden_frames(frames: int, *, rng: Generator) -> range:
    """Draw the frames in which an object is hidden: neither the first nor the last of at least three."""
    start = int(rng.integers(1, frames - 1))
    return range(start, int(rng.integers(start, frames - 1)) + 1)


def sprite_outline(sprite: Sprite) -> Outline:
    """Return where a sprite is, whether it is visible or not."""
    boxes = []
    for frame, place in enumerate(sprite.placements):
        rows, columns = sprite.layers[frame if sprite.later else 0].shape[:2]
        corners = place @ np.array([(0, 0, 1), (columns, 0, 1), (0, rows, 1), (columns, rows, 1)]).T
        boxes.append([*corners.min(axis=1), *corners.max(axis=1)])
    return np.array(boxes, np.float64)


def ground_outline(masks: list[ByteMask], windows: tuple[NDArray[np.float64], ...]) -> Outline:
    """Return where an object of the picture below is, by its mask in each frame and the window onto it.

    If the mask is empty, it is where it was.
    """
    boxes: list[list[float]] = []
    for mask, window in zip(masks, windows, strict=True):
        x, y, width, height = cv2.boundingRect(mask)
        if not width:
            boxes.append(boxes[-1] if boxes else [0.0, 0.0, 0.0, 0.0])
            continue
        ends = np.array([(x, y, 1), (x + width, y, 1), (x, y + height, 1), (x + width, y + height, 1)]).T
        corners = np.asarray(cv2.invertAffineTransform(window), np.float64) @ ends
        boxes.append([*corners.min(axis=1), *corners.max(axis=1)])
    return np.array(boxes, np.float64)


def draw_occluder(
    outline: Outline, *, still: Pool | None, hidden: range, size: tuple[int, int], rng: Generator
) -> Sprite:
    """Draw a thing that is before an object in the hidden frames, comes from one side and goes on or back."""
    height, width = size
    middle = (outline[:, :2] + outline[:, 2:]) / 2
    extent = (outline[:, 2:] - outline[:, :2])[hidden.start : hidden.stop].max(axis=0) * rng.uniform(*LARGER)
    extent = np.clip(extent, 8, (0.8 * width, 2 * height))
    subject = None if still is None or rng.random() < BAR else cut_out_subject(still.draw(rng))
    if subject is None:
        extent[1] = 2 * height
        cutout, across = draw_bar(still, rng=rng), np.array([rng.choice([-1.0, 1.0]), 0.0])
    else:
        cutout, angle = shrunk(subject), rng.uniform(0, 2 * np.pi)
        across = np.array([np.cos(angle), 0.5 * np.sin(angle)])
    rows, columns = cutout.alpha.shape
    # A cut-out is as large as it must be to cover the object, and a bar as wide.
    stretch = np.array([extent[0] / columns, extent[1] / rows])
    if subject is not None:
        stretch[:] = min(stretch.max(), 1.5 * height / rows, 1.2 * width / columns)
    whole = stretch * (columns, rows)
    lengths = (whole + (outline[:, 2:] - outline[:, :2]).max(axis=0)) / 2
    stride = across * (lengths[0] if subject is None else lengths.max()) * rng.uniform(0.8, 1.3)
    back = rng.random() < 0.3
    placements = []
    for index in range(len(outline)):
        before, after = max(hidden.start - index, 0), max(index - hidden.stop + 1, 0)
        center = middle[index] + stride * ((-before - after) if back else (after - before))
        place = placement((rows, columns), center=center, scale=1.0)
        place[:, :2] = np.diag(stretch)
        place[:, 2] = center - place[:, :2] @ (columns / 2, rows / 2)
        placements.append(place)
    return Sprite(cutout=cutout, placements=tuple(placements), bends=None, followed=False)


def draw_bar(still: Pool | None, *, rng: Generator) -> Cutout:
    """Draw a plain bar with some texture, now and then a strip of a picture."""
    shape = 192, int(rng.integers(24, 96))
    if still is not None and rng.random() < 0.5:
        image = read_image(still.draw(rng).frames[0])
        wide = max(min(image.shape[1], image.shape[0] // 2), 1)
        left = int(rng.integers(image.shape[1] - wide + 1))
        strip = np.asarray(
            cv2.resize(image[:, left : left + wide], shape[::-1], interpolation=cv2.INTER_AREA), np.uint8
        )
        return Cutout(strip, np.ones(shape, np.float32))
    return Cutout(_textured(shape, rng=rng), np.ones(shape, np.float32))


def gone_for_a_while(sprite: Sprite, *, hidden: range, size: tuple[int, int], rng: Generator) -> Sprite:
    """Let a sprite leave the view, and come back there or at another place."""
    side = np.array([FAR * size[1] * rng.choice([-1.0, 1.0]), 0.0])
    return back_elsewhere(sprite.moved(hidden, side), hidden=hidden, size=size, rng=rng)


def back_elsewhere(sprite: Sprite, *, hidden: range, size: tuple[int, int], rng: Generator) -> Sprite:
    """Let a sprite come back somewhere in the view, now and then, rather than where it would have been."""
    if rng.random() >= ELSEWHERE:
        return sprite
    aim = rng.uniform(0.2, 0.8, size=2) * size[::-1]
    return sprite.moved(range(hidden.stop, len(sprite.placements)), aim - sprite.center(hidden.stop))


def _textured(shape: tuple[int, int], *, rng: Generator) -> ImageArray:
    """Draw a colour with coarse and fine grain."""
    image = np.tile(rng.uniform(20, 235, size=3), (*shape, 1)).astype(np.float32)
    for grain in (16, 3):
        cells = rng.normal(0, rng.uniform(0, 20), size=(shape[0] // grain, shape[1] // grain, 1)).astype(np.float32)
        image += cv2.resize(cells, shape[::-1], interpolation=cv2.INTER_CUBIC)[..., None]
    return np.clip(image, 0, 255).astype(np.uint8)
