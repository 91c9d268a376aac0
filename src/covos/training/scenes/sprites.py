"""Sprites: cut-outs that move over a picture and over each other, whose visible parts are known exactly.

A sprite is either followed, or only in the way. Sprites that come later hide earlier ones. So clips of several
objects, with occlusion, disappearance and return, come out of still pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from covos.core.types import ImageArray
from covos.training.scenes.cutouts import Cutout, LayerArray, as_layer, log_uniform, placement, shrunk
from covos.training.scenes.windows import ByteMask, as_shares, draw_sway, seen_with_masks

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
FINE = 33
"""Points along a side of the lattice that a bending is made smooth on before it is warped."""
FAR = 3.0
"""A thing out of the view is so many views away."""

Box: TypeAlias = tuple[slice, slice]
"""Rows and columns of a view."""


# No slots: cached_property keeps its value in the instance's __dict__.
@dataclass(frozen=True, kw_only=True)
class Sprite:
    """A cut-out that moves.

    Attributes:
        cutout: Picture and alpha.
        later: Cut-outs of the frames after the first, if the looks of the thing change from frame to frame.
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
    later: tuple[Cutout, ...] = ()

    @cached_property
    def layers(self) -> tuple[LayerArray, ...]:
        """The cut-outs, each as one picture, see `as_layer`: one for all frames, or one for each."""
        return tuple(as_layer(cutout) for cutout in (self.cutout, *self.later))

    def center(self, frame: int) -> NDArray[np.float64]:
        """Return (x, y) of the middle of its cut-out in the view."""
        height, width = self.layers[frame if self.later else 0].shape[:2]
        return self.placements[frame] @ (width / 2, height / 2, 1)

    def moved(self, frames: range, offset: NDArray[np.float64]) -> Sprite:
        """Return it with another way: moved by (x, y) pixels of the view in some frames."""
        shift = np.array([[0, 0, offset[0]], [0, 0, offset[1]]])
        places = [place + shift if index in frames else place for index, place in enumerate(self.placements)]
        return replace(self, placements=tuple(places))

    def placed(self, frame: int, *, size: Sequence[int]) -> tuple[Box, LayerArray] | None:
        """Return the part of a view of size (height, width) that it may be seen in, and what is seen there.

        None if it is out of the view.
        """
        layer = self.layers[frame if self.later else 0]
        place = self.placements[frame]
        rows, columns = layer.shape[:2]
        # Half a pixel around it is not wholly transparent.
        x, y = (-1.0, float(columns)), (-1.0, float(rows))
        corners = place @ np.array([(x[0], y[0], 1), (x[1], y[0], 1), (x[0], y[1], 1), (x[1], y[1], 1)]).T
        margin = 0.0
        if self.bends is not None:
            margin = (
                float(np.abs(self.bends[frame]).max()) * max(rows, columns) * float(np.linalg.norm(place[:, :2], 2))
            )
        low = np.maximum(np.floor(corners.min(axis=1) - margin), 0).astype(int)
        high = np.minimum(np.ceil(corners.max(axis=1) + margin) + 1, (size[1], size[0])).astype(int)
        width, height = (high - low).tolist()
        if width <= 0 or height <= 0:
            return None
        box = slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))
        into = place.copy()
        into[:, 2] -= low
        if self.bends is None:
            warped = cv2.warpAffine(layer, into, (width, height))
        else:
            back = np.asarray(cv2.invertAffineTransform(into), np.float64)
            warped = _bent(layer, self.bends[frame], back, size=(height, width))
        return box, np.asarray(warped, np.uint8)


def draw_sprite(
    cutout: Cutout,
    *,
    frames: int,
    size: tuple[int, int],
    followed: bool,
    bend: bool,
    sway: float = 0.0,
    rng: Generator,
) -> Sprite:
    """Let a cut-out move through a view of size (height, width); the sway is the strength of `draw_sway`."""
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
        spot = center + (np.array([np.sign(step[0]) or 1.0, 0.0]) * FAR if index in away else 0)
        middle = spot * (width, height)
        placements.append(placement((rows, columns), center=middle, scale=scale * growth, turn=turn, mirror=mirror))
        bends.append(bent.copy())
        center = center + step * rng.uniform(0.3, 1.7)
        step = step + rng.normal(0, 0.4 * speed, size=2)
        turn += rng.normal(0, 6)
        growth *= float(np.exp(rng.normal(0, 0.06)))
        bent = (bent + rng.normal(0, BEND, size=bent.shape)).astype(np.float32)
    if sway:
        linears = draw_sway(frames, strength=sway, rng=rng)
        placements = [_about(place, linear, (rows, columns)) for place, linear in zip(placements, linears, strict=True)]
    return Sprite(cutout=cutout, placements=tuple(placements), bends=tuple(bends) if bend else None, followed=followed)


def draw_twin(
    image: ImageArray,
    mask: ByteMask,
    *,
    frames: int,
    exact: bool = False,
    crossing: bool = False,
    followed: bool = False,
    rng: Generator,
) -> Sprite | None:
    """Draw another instance of an object: cut out of the view, about as large, near it, in nearly the same colours.

    It walks past the object or away from it. A network that has seen no such thing takes likeness for identity.

    Args:
        image: The view, H x W x 3 uint8 RGB.
        mask: The object in it.
        frames: Number of frames.
        exact: The twin has the very colours and size of the object, and is not mirrored.
        crossing: It comes from one side of the object and leaves on the other.
        followed: It is followed too, and so it is in the view in the first frame; others may come in later.
        rng: Draws.

    Returns:
        The twin, or None if there is nothing in the mask.
    """
    x, y, width, height = cv2.boundingRect((mask > 127).astype(np.uint8))
    if not width:
        return None
    box = slice(y, y + height), slice(x, x + width)
    tint = rng.uniform(0.9, 1.1) * rng.uniform(0.95, 1.05, size=3)
    likeness = image[box] if exact else np.clip(image[box] * tint, 0, 255).astype(np.uint8)
    length = max(width, height)
    angle, speed = rng.uniform(0, 2 * np.pi), log_uniform(TWIN_SPEED, rng=rng) * image.shape[1]
    # Ground is flat more often than not: beside it rather than above.
    direction = np.array([np.cos(angle), 0.4 * np.sin(angle)])
    own = np.array([x + width / 2, y + height / 2])
    way = direction * rng.uniform(*BESIDE) * length
    if followed and not 0 < own[0] + way[0] < image.shape[1]:
        way[0] *= -1
    spot = own + way
    step = -direction * speed if rng.random() < 0.7 else rng.normal(0, speed, size=2)
    if crossing:
        step = -2 * way / max(frames - 1, 1)
    mirror, scale, turn = rng.random() < 0.5, float(np.exp(rng.normal(0, 0.15))), 0.0
    if exact:
        mirror, scale = False, 1.0
    enters = int(rng.integers(frames)) if rng.random() < 0.5 and not followed else 0
    placements = []
    for index in range(frames):
        place = spot if index >= enters else spot - FAR * np.array(image.shape[1::-1])
        placements.append(placement((height, width), center=place, scale=scale, turn=turn, mirror=mirror))
        spot = spot + step * rng.uniform(0.5, 1.5)
        turn += rng.normal(0, 3)
        scale *= float(np.exp(rng.normal(0, 0.03)))
    return Sprite(
        cutout=Cutout(likeness, as_shares(mask[box])),
        placements=tuple(placements),
        bends=None,
        followed=followed,
        behind=rng.random() < 0.5,
    )


def lay_over(
    image: ImageArray, masks: Sequence[ByteMask], sprite: Sprite, *, frame: int
) -> tuple[ImageArray, list[ByteMask]]:
    """Put a sprite over a view, or behind the objects that are in it.

    Return the new view, and what is still visible of the masks; the sprite's own is the last.
    """
    own = np.zeros(image.shape[:2], np.uint8)
    placed = sprite.placed(frame, size=image.shape)
    if placed is None:
        return image, [*masks, own]
    box, layer = placed
    if sprite.behind:
        for before in masks:
            free = cv2.merge([255 - before[box]] * 4)
            layer = np.asarray(cv2.multiply(layer, free, scale=1 / 255), np.uint8)
    alpha = np.asarray(cv2.extractChannel(layer, 3), np.uint8)
    if not alpha.any():
        return image, [*masks, own]
    own[box] = alpha
    left = 255 - alpha
    shown = image.copy()
    below = cv2.multiply(image[box], cv2.cvtColor(left, cv2.COLOR_GRAY2RGB), scale=1 / 255)
    shown[box] = cv2.add(below, cv2.cvtColor(layer, cv2.COLOR_RGBA2RGB))
    visible = []
    for before in masks:
        rest = before.copy()
        rest[box] = cv2.multiply(before[box], left, scale=1 / 255)
        visible.append(rest)
    return shown, [*visible, own]


def render(
    picture: ImageArray,
    masks: Sequence[ByteMask],
    window: NDArray[np.float64],
    sprites: Sequence[Sprite],
    *,
    frame: int,
    size: tuple[int, int],
) -> tuple[ImageArray, list[ByteMask]]:
    """Show a picture through a window, with sprites over it, which are laid in their order.

    Return the view, and the visible part of each object and of each sprite, in the order given.
    """
    view, visible = seen_with_masks(picture, masks, window, size=size)
    for sprite in sprites:
        view, visible = lay_over(view, visible, sprite, frame=frame)
    return view, visible


def _absence(frames: int, *, rng: Generator) -> frozenset[int]:
    """Draw the frames, never the first, in which an object is out of the view."""
    first = int(rng.integers(1, frames))
    last = frames if rng.random() < 0.4 else int(rng.integers(first, frames)) + 1
    return frozenset(range(first, last))


def _about(place: NDArray[np.float64], linear: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float64]:
    """Turn, grow and shear what lies at a place about its middle, by the view's axes."""
    middle = np.array([shape[1], shape[0]]) / 2
    turned = linear @ place[:, :2]
    offset = place[:, :2] @ middle + place[:, 2] - turned @ middle
    return np.concatenate([turned, offset[:, None]], axis=1)


def _bent(
    layer: LayerArray, bend: NDArray[np.float32], back: NDArray[np.float64], *, size: tuple[int, int]
) -> LayerArray:
    """Return a part of a view of size (height, width) with a bent layer in it; ``back`` leads from it to the layer."""
    rows, columns = layer.shape[:2]
    height, width = size
    lattice = cv2.resize(bend, (FINE, FINE), interpolation=cv2.INTER_CUBIC) * np.float32(max(rows, columns))
    per = np.array([FINE / columns, FINE / rows])
    to_lattice = per[:, None] * back
    to_lattice[:, 2] += per / 2 - 0.5
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    shift = cv2.warpAffine(lattice, to_lattice, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    (xx, xy, x0), (yx, yy, y0) = back.astype(np.float32)
    at_x = xx * x + (xy * y + x0) + shift[..., 0]
    at_y = yx * x + (yy * y + y0) + shift[..., 1]
    return np.asarray(cv2.remap(layer, at_x, at_y, cv2.INTER_LINEAR), np.uint8)
