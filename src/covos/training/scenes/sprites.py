"""Sprites: cut-outs that move over a picture and over each other, whose visible parts are known exactly.

A sprite is either followed, or only in the way. Sprites that come later hide earlier ones. So clips of several
objects, with occlusion, disappearance and return, come out of still pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from covos.core.types import ImageArray, ProbabilityArray
from covos.training.scenes.cutouts import Cutout, blend, log_uniform, placement, put_into, shrunk
from covos.training.scenes.windows import seen_through

HEIGHT_SHARE = (0.15, 0.75)
"""Height of an object over that of the view."""
SPEED = (0.005, 0.1)
"""Way from one frame to the next, in shares of the view."""
AWAY = 0.15
"""Share of the objects that are out of the view for a while, or from some frame on."""
BEND = 0.025
"""Standard deviation of the bending of an object from frame to frame, in shares of its size."""
BESIDE = (0.5, 2.0)
"""Way from an object to its twin in the first frame, in lengths of the object."""
TWIN_SPEED = (0.01, 0.06)
"""Way of a twin from one frame to the next, in shares of the view."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sprite:
    """A cut-out that moves.

    Attributes:
        cutout: Picture and alpha.
        placements: For each frame, 2 x 3 from the cut-out's pixels to the view's.
        bends: For each frame, 3 x 3 x 2 float32, by how much of its size the cut-out is bent there; None for stiff.
        followed: True for an object to be followed.
        behind: If true, it passes behind the objects rather than in front of them.
    """

    cutout: Cutout
    placements: tuple[NDArray[np.float64], ...]
    bends: tuple[NDArray[np.float32], ...] | None
    followed: bool
    behind: bool = False


def draw_sprite(
    cutout: Cutout, *, frames: int, size: tuple[int, int], followed: bool, bend: bool, rng: Generator
) -> Sprite:
    """Let a cut-out move through a view of size (height, width)."""
    height, width = size
    cutout = shrunk(cutout)
    rows, columns = cutout.alpha.shape
    share = log_uniform(HEIGHT_SHARE, rng=rng)
    # Wide things are not let fill the view.
    scale = min(share * height / rows, 0.9 * width / columns)
    center = rng.uniform(0.1, 0.9, size=2)
    angle, speed = rng.uniform(0, 2 * np.pi), log_uniform(SPEED, rng=rng)
    step = speed * np.array([np.cos(angle), np.sin(angle)])
    turn, mirror, growth = 0.0, rng.random() < 0.5, 1.0
    away = _absence(frames, rng=rng) if rng.random() < AWAY else frozenset()
    placements, bends = [], []
    bent = np.zeros((3, 3, 2), np.float32)
    for index in range(frames):
        spot = center + (np.array([np.sign(step[0]) or 1.0, 0.0]) * 3 if index in away else 0)
        middle = spot * (width, height)
        placements.append(placement((rows, columns), center=middle, scale=scale * growth, turn=turn, mirror=mirror))
        bends.append(bent.copy())
        center = center + step * rng.uniform(0.3, 1.7)
        step = step + rng.normal(0, 0.4 * speed, size=2)
        turn += rng.normal(0, 6)
        growth *= float(np.exp(rng.normal(0, 0.06)))
        bent = (bent + rng.normal(0, BEND, size=bent.shape)).astype(np.float32)
    return Sprite(cutout=cutout, placements=tuple(placements), bends=tuple(bends) if bend else None, followed=followed)


def draw_twin(image: ImageArray, mask: ProbabilityArray, *, frames: int, rng: Generator) -> Sprite | None:
    """Draw another instance of an object: cut out of the view, about as large, near it, in nearly the same colours.

    It comes into the view in the first frame or in a later one, walks past the object or away from it, and is not
    followed. A network that has seen no such thing takes likeness for identity.
    """
    x, y, width, height = cv2.boundingRect((mask > 0.5).astype(np.uint8))
    if not width:
        return None
    box = slice(y, y + height), slice(x, x + width)
    tint = rng.uniform(0.9, 1.1) * rng.uniform(0.95, 1.05, size=3)
    likeness = np.clip(image[box] * tint, 0, 255).astype(np.uint8)
    length = max(width, height)
    angle, speed = rng.uniform(0, 2 * np.pi), log_uniform(TWIN_SPEED, rng=rng) * image.shape[1]
    # Ground is flat more often than not: beside it rather than above.
    direction = np.array([np.cos(angle), 0.4 * np.sin(angle)])
    own = np.array([x + width / 2, y + height / 2])
    spot = own + direction * rng.uniform(*BESIDE) * length
    step = -direction * speed if rng.random() < 0.7 else rng.normal(0, speed, size=2)
    mirror, scale, turn = rng.random() < 0.5, float(np.exp(rng.normal(0, 0.15))), 0.0
    enters = int(rng.integers(frames)) if rng.random() < 0.5 else 0
    placements = []
    for index in range(frames):
        place = spot if index >= enters else spot - 3 * np.array(image.shape[1::-1])
        placements.append(placement((height, width), center=place, scale=scale, turn=turn, mirror=mirror))
        spot = spot + step * rng.uniform(0.5, 1.5)
        turn += rng.normal(0, 3)
        scale *= float(np.exp(rng.normal(0, 0.03)))
    return Sprite(
        cutout=Cutout(likeness, np.ascontiguousarray(mask[box])),
        placements=tuple(placements),
        bends=None,
        followed=False,
        behind=rng.random() < 0.5,
    )


def lay_over(
    image: ImageArray, masks: Sequence[ProbabilityArray], sprite: Sprite, *, frame: int
) -> tuple[ImageArray, list[ProbabilityArray]]:
    """Put a sprite over a view, or behind the objects that are in it.

    Return the new view, and what is still visible of the masks; the sprite's own is the last.
    """
    cutout = sprite.cutout if sprite.bends is None else _bent(sprite.cutout, sprite.bends[frame])
    above = put_into(cutout, sprite.placements[frame], size=image.shape)
    mask = above.alpha
    if sprite.behind and masks:
        mask *= np.prod([1 - before for before in masks], axis=0, dtype=np.float32)
    if not mask.any():
        return image, [*masks, mask]
    return blend(image, above), [*(below * (1 - mask) for below in masks), mask]


def render(
    picture: ImageArray,
    alphas: Sequence[ProbabilityArray],
    window: NDArray[np.float64],
    sprites: Sequence[Sprite],
    *,
    frame: int,
    size: tuple[int, int],
) -> tuple[ImageArray, list[ProbabilityArray]]:
    """Show a picture through a window, with sprites over it, which are laid in their order.

    Return the view, and the visible part of each object and of each sprite, in the order given.
    """
    view = seen_through(picture, window, size=size)
    masks = [seen_through(alpha, window, size=size) for alpha in alphas]
    for sprite in sprites:
        view, masks = lay_over(view, masks, sprite, frame=frame)
    return view, masks


def _absence(frames: int, *, rng: Generator) -> frozenset[int]:
    """Draw the frames, never the first, in which an object is out of the view."""
    first = int(rng.integers(1, frames))
    last = frames if rng.random() < 0.4 else int(rng.integers(first, frames)) + 1
    return frozenset(range(first, last))


def _bent(cutout: Cutout, bend: NDArray[np.float32]) -> Cutout:
    height, width = cutout.alpha.shape
    smooth = cv2.resize(bend, (width, height), interpolation=cv2.INTER_CUBIC) * np.float32(max(height, width))
    x = np.arange(width, dtype=np.float32) + smooth[..., 0]
    y = np.arange(height, dtype=np.float32)[:, None] + smooth[..., 1]
    return Cutout(
        np.asarray(cv2.remap(cutout.image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8),
        np.asarray(cv2.remap(cutout.alpha, x, y, cv2.INTER_LINEAR), np.float32),
    )
