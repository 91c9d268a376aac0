"""Things near the camera that are not the subject, and grounds that are nearer in one part: parallax.

A step of the camera moves what is near further than what is far. After the camera's motion is taken out, near things
move against the scene as a subject does.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.random import Generator

from covos.core.types import ImageArray
from covos.data import read_image
from covos.training.pools import Pool
from covos.training.scenes.cutouts import Cutout, cut_out_subject, log_uniform
from covos.training.scenes.layers import IDENTITY, Layer, Matrix, PictureArray, as_picture, place_cutout
from covos.training.scenes.windows import ByteMask

NEARNESS = (1.6, 4.0)
"""Way of a near thing over that of the scene."""
NEAR_GROUND = (1.15, 1.9)
"""The same for the nearer part of a ground."""
SPREAD = 0.12
"""Way of a near thing between two frames of a group, at most, in shares of the scene."""


class Near(NamedTuple):
    """A layer near the camera, and how many times as far as the scene it moves."""

    layer: Layer
    nearness: float

    def elsewhere(self, *, rng: Generator, shape: tuple[int, ...]) -> Near:
        """Return it where it is seen from another place, for another frame of its group."""
        x, y = rng.uniform(-SPREAD, SPREAD, size=2) * (shape[1], shape[0] / 2)
        return self._replace(layer=self.layer.moved(np.array([[1.0, 0.0, x], [0.0, 1.0, y]])))

    def beside(self, camera: Matrix, *, shape: tuple[int, ...]) -> Layer:
        """Return the layer after a step of the camera."""
        return self.layer.moved(amplified(camera, factor=self.nearness, shape=shape))


def amplified(step: Matrix, *, factor: float, shape: tuple[int, ...]) -> Matrix:
    """Return a step that moves the middle of a scene so many times as far; turn and zoom stay."""
    middle = np.array([shape[1] / 2, shape[0] / 2])
    way = step[:, :2] @ middle + step[:, 2] - middle
    nearer = step.copy()
    nearer[:, 2] += (factor - 1) * way
    return nearer


def near_things(still: Pool, *, shape: tuple[int, ...], rng: Generator) -> tuple[Near, ...]:
    """Draw one or two things near the camera, before a scene of this shape: most hang over its border."""
    things = []
    for _ in range(1 + int(rng.random() < 0.3)):
        kind = int(rng.integers(4))
        if kind < 2:
            layer = _large_cutout(still, shape=shape, rng=rng)
        else:
            (record, *_) = still.draw(rng).frames
            cover = _bars(shape, rng=rng) if kind == 2 else _leaves(shape, rng=rng)
            image = _texture(read_image(record), shape=shape, rng=rng)
            layer = Layer(picture=as_picture(image, cover), matrix=IDENTITY, endless=True)
        if layer is not None:
            things.append(Near(layer, log_uniform(NEARNESS, rng=rng)))
    return tuple(things)


def near_ground(ground: PictureArray, *, rng: Generator) -> Near:
    """Draw the nearer part of a ground: below a horizon that runs up and down, with a soft edge."""
    height, width = ground.shape[:2]
    x = np.arange(width)
    horizon = height * (
        rng.uniform(0.25, 0.75)
        + rng.uniform(-0.3, 0.3) * (x / width - 0.5)
        + rng.uniform(0.0, 0.12) * np.sin(x / width * rng.uniform(4, 20) + rng.uniform(0, 6))
    )
    soft = np.clip((np.arange(height)[:, None] - horizon[None]) / 4 + 0.5, 0, 1)
    picture = ground.copy()
    picture[..., 3] = (soft * 255).astype(np.uint8)
    return Near(Layer(picture=picture, matrix=IDENTITY, endless=True), log_uniform(NEAR_GROUND, rng=rng))


def _large_cutout(still: Pool, *, shape: tuple[int, ...], rng: Generator) -> Layer | None:
    """Draw the subject of another picture, large, at the border; None if it has none."""
    cutout = cut_out_subject(still.draw(rng))
    if cutout is None:
        return None
    share, at = rng.uniform(0.4, 1.1), rng.uniform(-0.05, 0.15)
    side, along = int(rng.integers(3)), rng.uniform(0.0, 1.0)
    center = np.array([(at, along), (1 - at, along), (along, 1 - at)][side])
    if rng.random() < 0.3:  # near things are out of focus
        image = np.asarray(cv2.GaussianBlur(cutout.image, (0, 0), float(rng.uniform(1, 3))), np.uint8)
        cutout = Cutout(image, cutout.alpha)
    return place_cutout(cutout, shape=shape, height_share=share, center=center, is_subject=False)


def _bars(shape: tuple[int, ...], *, rng: Generator) -> ByteMask:
    """Draw a railing: upright posts with one or two rails, or a grid of thin wires."""
    height, width = shape[:2]
    cover = np.zeros((height, width), np.uint8)
    top = int(height * rng.uniform(0.3, 0.8))
    gap, thick = width * rng.uniform(0.06, 0.25), max(int(width * rng.uniform(0.006, 0.02)), 1)
    lean = int(width * rng.uniform(-0.02, 0.02))
    for x in np.arange(rng.uniform(0, gap), width, gap).astype(int).tolist():
        cv2.line(cover, (x, top), (x + lean, height), 255, thick, cv2.LINE_AA)
    for y in (top, int(rng.uniform(top, height))):
        cv2.line(cover, (0, y), (width, y), 255, thick + 1, cv2.LINE_AA)
    return cover


def _leaves(shape: tuple[int, ...], *, rng: Generator) -> ByteMask:
    """Draw leaves: ellipses about one or two places of the border."""
    height, width = shape[:2]
    cover = np.zeros((height, width), np.uint8)
    for _ in range(int(rng.integers(1, 3))):
        side, along = int(rng.integers(4)), rng.uniform(0, 1)
        bush = np.array([(0, along), (1, along), (along, 0), (along, 1)][side]) * (width, height)
        reach = height * rng.uniform(0.15, 0.4)
        leaf = height * rng.uniform(0.02, 0.07)
        for x, y in (bush + rng.normal(0, reach / 2, size=(int(rng.integers(15, 60)), 2))).tolist():
            axes = max(int(leaf * rng.uniform(0.6, 1.4)), 2), max(int(leaf * rng.uniform(0.2, 0.6)), 1)
            cv2.ellipse(cover, (int(x), int(y)), axes, float(rng.uniform(0, 180)), 0, 360, 255, -1, cv2.LINE_AA)
    return cover


def _texture(picture: ImageArray, *, shape: tuple[int, ...], rng: Generator) -> ImageArray:
    """Return a part of a picture, brought to one tone and as large as a scene: what near things are made of."""
    height, width = picture.shape[:2]
    rows, columns = max(height // 2, 1), max(width // 2, 1)
    top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
    part = picture[top : top + rows, left : left + columns]
    large = cv2.resize(part, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    tone = np.full_like(large, rng.integers(20, 230, size=3).astype(np.uint8))
    return np.asarray(cv2.addWeighted(large, 0.8, tone, 0.2, 0), np.uint8)
