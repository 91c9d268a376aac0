"""Cut-outs: subjects that are cut out of still pictures, and how they are put over other pictures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from covos.core.types import ImageArray, ProbabilityArray
from covos.data import Video
from covos.training.pools import Pool
from covos.training.scenes.pictures import read_foreground, read_image
from covos.training.scenes.windows import as_bytes

SIDE = 256
"""Longest side of a cut-out that moves, in pixels: none is shown larger."""
LOOK_ALIKE = 0.2
"""Share of the cut-outs that are look-alikes of the one before."""


LayerArray: TypeAlias = NDArray[np.uint8]
"""H x W x 4 uint8: a cut-out's alpha in the last channel, and its colours multiplied by that."""


class Cutout(NamedTuple):
    """A picture and the part of it that is meant."""

    image: ImageArray
    """H x W x 3 uint8 RGB."""
    alpha: ProbabilityArray
    """H x W float32 in [0, 1]."""


def cut_out(image: ImageArray, foreground: ProbabilityArray) -> Cutout | None:
    """Cut out the subject's bounding box; None if there is no subject."""
    x, y, width, height = cv2.boundingRect((foreground > 0.5).astype(np.uint8))
    if not width:
        return None
    box = slice(y, y + height), slice(x, x + width)
    return Cutout(image[box], foreground[box])


def cut_out_subject(picture: Video) -> Cutout | None:
    """Cut out the subject of a still picture; None if it has none."""
    (record, *_) = picture.frames
    return cut_out(read_image(record), read_foreground(picture, record).probability)


def draw_cutouts(still: Pool, *, most: int, rng: Generator) -> Iterator[Cutout]:
    """Draw up to ``most`` cut-outs of still pictures, now and then a look-alike of the one before."""
    cutout: Cutout | None = None
    for _ in range(int(rng.integers(1, most + 1))):
        if cutout is not None and rng.random() < LOOK_ALIKE:
            cutout = recoloured(cutout, rng=rng)
        elif (subject := cut_out_subject(still.draw(rng))) is not None:
            cutout = shrunk(subject)
        else:
            continue
        yield cutout


def shrunk(cutout: Cutout) -> Cutout:
    """Return a cut-out that is at most `SIDE` pixels long."""
    scale = SIDE / max(cutout.alpha.shape)
    return cutout if scale >= 1 else _resized(cutout, scale)


def as_layer(cutout: Cutout) -> LayerArray:
    """Return a cut-out as one picture, which is warped at once, and put over others without a float."""
    alpha = as_bytes(cutout.alpha)
    image = cv2.multiply(cutout.image, cv2.cvtColor(alpha, cv2.COLOR_GRAY2RGB), scale=1 / 255)
    layer = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2RGBA), np.uint8)
    cv2.insertChannel(alpha, layer, 3)
    return layer


def recoloured(cutout: Cutout, *, rng: Generator) -> Cutout:
    """Return a look-alike: the same thing in other colours, mirrored."""
    gain, bias = rng.uniform(0.6, 1.3, size=3), rng.uniform(-30, 30)
    image = np.clip(cutout.image.astype(np.float32) * gain + bias, 0, 255).astype(np.uint8)
    return Cutout(np.ascontiguousarray(image[:, ::-1]), np.ascontiguousarray(cutout.alpha[:, ::-1]))


def placement(
    shape: tuple[int, ...], *, center: NDArray[np.float64], scale: float, turn: float = 0.0, mirror: bool = False
) -> NDArray[np.float64]:
    """Return the 2 x 3 matrix from a cut-out's pixels to those of the view that it is put into.

    The center (x, y) of the cut-out is in pixels of the view, the scale in those for one of the cut-out, the turn in
    degrees.
    """
    cos, sin = scale * np.cos(np.deg2rad(turn)), scale * np.sin(np.deg2rad(turn))
    linear = np.array([[-cos if mirror else cos, -sin], [-sin if mirror else sin, cos]])
    offset = center - linear @ np.array([shape[1], shape[0]]) / 2
    return np.concatenate([linear, offset[:, None]], axis=1)


def log_uniform(limits: tuple[float, float], *, rng: Generator) -> float:
    """Draw a number between two limits whose logarithm is uniform: small ones are as common as large ones."""
    return float(np.exp(rng.uniform(*np.log(limits))))


def _resized(cutout: Cutout, scale: float) -> Cutout:
    height, width = cutout.alpha.shape
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    return Cutout(
        np.asarray(cv2.resize(cutout.image, size, interpolation=cv2.INTER_AREA), np.uint8),
        np.asarray(cv2.resize(cutout.alpha, size, interpolation=cv2.INTER_AREA), np.float32),
    )
