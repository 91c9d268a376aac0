"""Scenes of layers: pictures that move over each other, whose visible parts are known exactly.

A layer is a picture with its alpha; it is either followed, or only in the way. Layers that come later hide earlier
ones. So clips of several objects, with occlusion, disappearance and return, come out of still pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from covos.core.types import ImageArray, ProbabilityArray

PictureT = TypeVar("PictureT", ImageArray, ProbabilityArray)

TARGET_STRIDE = 4
"""Masks are area averages at the stride of the network's output."""
SIDE = 256
"""Cut-outs are shrunk to this: none is shown larger."""
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


class Picture(NamedTuple):
    """A picture and the part of it that is meant."""

    image: ImageArray
    """H x W x 3 uint8 RGB."""
    alpha: ProbabilityArray
    """H x W float32 in [0, 1]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sprite:
    """A cut-out that moves.

    Attributes:
        picture: What is seen.
        matrices: For each frame, 2 x 3 from the picture's pixels to the view's.
        bends: For each frame, 3 x 3 x 2 float32, by how much of its size the picture is bent there; None for stiff.
        followed: Whether it is an object to be followed.
        behind: Whether it passes behind the objects rather than in front of them.
    """

    picture: Picture
    matrices: tuple[NDArray[np.float64], ...]
    bends: tuple[NDArray[np.float32], ...] | None
    followed: bool
    behind: bool = False


def draw_sprite(
    picture: Picture, *, frames: int, size: tuple[int, int], followed: bool, bend: bool, rng: Generator
) -> Sprite:
    """Let a cut-out move through the view.

    Args:
        picture: The cut-out.
        frames: How many.
        size: (height, width) of the view.
        followed: See `Sprite`.
        bend: Whether it changes its shape.
        rng: Source of everything drawn.
    """
    height, width = size
    picture = shrunk(picture)
    rows, columns = picture.alpha.shape
    share = float(np.exp(rng.uniform(*np.log(HEIGHT_SHARE))))
    # Wide things are not let fill the view.
    scale = min(share * height / rows, 0.9 * width / columns)
    center = rng.uniform(0.1, 0.9, size=2)
    angle, speed = rng.uniform(0, 2 * np.pi), float(np.exp(rng.uniform(*np.log(SPEED))))
    step = speed * np.array([np.cos(angle), np.sin(angle)])
    turn, mirror, growth = 0.0, rng.random() < 0.5, 1.0
    away = _absence(frames, rng=rng) if rng.random() < AWAY else frozenset()
    matrices, bends = [], []
    bent = np.zeros((3, 3, 2), np.float32)
    for index in range(frames):
        spot = center + (np.array([np.sign(step[0]) or 1.0, 0.0]) * 3 if index in away else 0)
        matrices.append(placed(picture.alpha.shape, scale * growth, turn, mirror, spot * (width, height)))
        bends.append(bent.copy())
        center = center + step * rng.uniform(0.3, 1.7)
        step = step + rng.normal(0, 0.4 * speed, size=2)
        turn += rng.normal(0, 6)
        growth *= float(np.exp(rng.normal(0, 0.06)))
        bent = (bent + rng.normal(0, BEND, size=bent.shape)).astype(np.float32)
    return Sprite(picture=picture, matrices=tuple(matrices), bends=tuple(bends) if bend else None, followed=followed)


def draw_twin(image: ImageArray, mask: ProbabilityArray, *, frames: int, rng: Generator) -> Sprite | None:
    """Another instance of an object: cut out of the view, about as large, near it, in nearly the same colours.

    It comes into the view in the first frame or in a later one, walks past the object or away from it, and is not
    followed. A network that has seen no such thing takes likeness for identity.

    Args:
        image: The first view, H x W x 3 uint8 RGB.
        mask: What is visible of the object in it, H x W float32 in [0, 1].
        frames: How many.
        rng: Source of everything drawn.

    Returns:
        None if nothing of the object is to be seen.
    """
    x, y, width, height = cv2.boundingRect((mask > 0.5).astype(np.uint8))
    if not width:
        return None
    box = slice(y, y + height), slice(x, x + width)
    tint = rng.uniform(0.9, 1.1) * rng.uniform(0.95, 1.05, size=3)
    likeness = np.clip(image[box] * tint, 0, 255).astype(np.uint8)
    length = max(width, height)
    angle, speed = rng.uniform(0, 2 * np.pi), float(np.exp(rng.uniform(*np.log(TWIN_SPEED)))) * image.shape[1]
    # Ground is flat more often than not: beside it rather than above.
    direction = np.array([np.cos(angle), 0.4 * np.sin(angle)])
    own = np.array([x + width / 2, y + height / 2])
    spot = own + direction * rng.uniform(*BESIDE) * length
    step = -direction * speed if rng.random() < 0.7 else rng.normal(0, speed, size=2)
    mirror, scale, turn = rng.random() < 0.5, float(np.exp(rng.normal(0, 0.15))), 0.0
    enters = int(rng.integers(frames)) if rng.random() < 0.5 else 0
    matrices = []
    for index in range(frames):
        place = spot if index >= enters else spot - 3 * np.array(image.shape[1::-1])
        matrices.append(placed((height, width), scale, turn, mirror, place))
        spot = spot + step * rng.uniform(0.5, 1.5)
        turn += rng.normal(0, 3)
        scale *= float(np.exp(rng.normal(0, 0.03)))
    return Sprite(
        picture=Picture(likeness, np.ascontiguousarray(mask[box])),
        matrices=tuple(matrices),
        bends=None,
        followed=False,
        behind=rng.random() < 0.5,
    )


def draw_camera(
    shape: tuple[int, ...], *, frames: int, size: tuple[int, int], zoom: tuple[float, float], calm: bool, rng: Generator
) -> tuple[NDArray[np.float64], ...]:
    """Windows of a camera that moves over a picture: for each frame, 2 x 3 from the view's pixels to the picture's.

    Args:
        shape: Height and width of the picture.
        frames: How many.
        size: (height, width) of the view.
        zoom: Range of the window's width over that of the largest that fits.
        calm: For a video, which has a camera of its own.
        rng: Source of everything drawn.
    """
    height, width = shape[:2]
    aspect = size[1] / size[0] * float(np.exp(rng.uniform(-0.2, 0.2)))
    scale = float(rng.uniform(*zoom))
    whole = min(width, height * aspect) * scale
    free = np.maximum(np.array([width - whole, height - whole / aspect]), 0)
    center = np.array([width, height]) / 2 + rng.uniform(-0.5, 0.5, size=2) * free
    drift = rng.normal(0, 0.01 if calm else 0.04, size=2) * rng.random()
    angle, flip = float(rng.uniform(-8, 8)), rng.random() < 0.5
    windows = []
    for _ in range(frames):
        per_x, per_y = whole / size[1], whole / aspect / size[0]
        cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
        linear = np.array([[cos * per_x, -sin * per_y], [sin * per_x, cos * per_y]])
        if flip:
            linear[:, 0] *= -1
        offset = center - linear @ np.array([(size[1] - 1) / 2, (size[0] - 1) / 2])
        windows.append(np.concatenate([linear, offset[:, None]], axis=1))
        center = center + drift * whole
        drift = drift + rng.normal(0, 0.002 if calm else 0.008, size=2)
        angle += float(rng.normal(0, 0.3 if calm else 1.0))
        whole *= float(np.exp(rng.normal(0, 0.005 if calm else 0.02)))
    return tuple(windows)


def seen_through(picture: PictureT, window: NDArray[np.float64], *, size: tuple[int, int]) -> PictureT:
    """A picture or a mask through a window; beyond its border lies its reflection."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(picture, window, size[::-1], flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(warped, picture.dtype)


def lay_over(
    image: ImageArray, masks: list[ProbabilityArray], sprite: Sprite, *, frame: int
) -> tuple[ImageArray, list[ProbabilityArray], ProbabilityArray]:
    """Put a sprite over a view, or behind the objects that are in it.

    Args:
        image: H x W x 3 uint8 RGB.
        masks: Visible parts of what lies below, H x W float32 each; a sprite that is behind goes below them.
        sprite: To be put over it.
        frame: Which of the sprite's frames.

    Returns:
        The new view, what is still visible of the masks, and the sprite's own mask.
    """
    size = image.shape[1], image.shape[0]
    picture, alpha = sprite.picture
    if sprite.bends is not None:
        picture, alpha = _bent(sprite.picture, sprite.bends[frame])
    over = cv2.warpAffine(picture, sprite.matrices[frame], size, borderMode=cv2.BORDER_REPLICATE)
    mask = np.asarray(cv2.warpAffine(alpha, sprite.matrices[frame], size), np.float32)
    if sprite.behind:
        mask *= np.prod([1 - before for before in masks], axis=0, dtype=np.float32) if masks else np.float32(1)
    if not mask.any():
        return image, masks, mask
    mixed = image + (np.asarray(over, np.float32) - image) * mask[..., None]
    return np.clip(mixed + 0.5, 0, 255).astype(np.uint8), [below * (1 - mask) for below in masks], mask


def recoloured(picture: Picture, *, rng: Generator) -> Picture:
    """The same thing in other colours, mirrored: a look-alike."""
    gain, bias = rng.uniform(0.6, 1.3, size=3), rng.uniform(-30, 30)
    image = np.clip(picture.image.astype(np.float32) * gain + bias, 0, 255).astype(np.uint8)
    return Picture(np.ascontiguousarray(image[:, ::-1]), np.ascontiguousarray(picture.alpha[:, ::-1]))


def at_stride(mask: ProbabilityArray) -> ProbabilityArray:
    """Area averages at the stride of the network's output."""
    small = mask.shape[1] // TARGET_STRIDE, mask.shape[0] // TARGET_STRIDE
    # Averages of ones come out a rounding error above one, which a cross-entropy refuses.
    return np.asarray(np.clip(cv2.resize(mask, small, interpolation=cv2.INTER_AREA), 0, 1), np.float32)


def shrunk(picture: Picture) -> Picture:
    """A cut-out at most `SIDE` pixels long."""
    height, width = picture.alpha.shape
    scale = SIDE / max(height, width)
    if scale >= 1:
        return picture
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    return Picture(
        np.asarray(cv2.resize(picture.image, size, interpolation=cv2.INTER_AREA), np.uint8),
        np.asarray(cv2.resize(picture.alpha, size, interpolation=cv2.INTER_AREA), np.float32),
    )


def _absence(frames: int, *, rng: Generator) -> frozenset[int]:
    """Frames, never the first, in which an object is out of the view."""
    first = int(rng.integers(1, frames))
    last = frames if rng.random() < 0.4 else int(rng.integers(first, frames)) + 1
    return frozenset(range(first, last))


def placed(
    shape: tuple[int, ...], scale: float, turn: float, mirror: bool, spot: NDArray[np.float64]
) -> NDArray[np.float64]:
    """2 x 3 from a picture's pixels to the view's.

    Args:
        shape: (height, width) of the picture.
        scale: Pixels of the view for one of the picture.
        turn: Degrees.
        mirror: Whether left and right are exchanged.
        spot: (x, y) of the picture's middle in the view.
    """
    cos, sin = scale * np.cos(np.deg2rad(turn)), scale * np.sin(np.deg2rad(turn))
    linear = np.array([[-cos if mirror else cos, -sin], [-sin if mirror else sin, cos]])
    offset = spot - linear @ np.array([shape[1], shape[0]]) / 2
    return np.concatenate([linear, offset[:, None]], axis=1)


def _bent(picture: Picture, bend: NDArray[np.float32]) -> Picture:
    height, width = picture.alpha.shape
    smooth = cv2.resize(bend, (width, height), interpolation=cv2.INTER_CUBIC) * np.float32(max(height, width))
    x = np.arange(width, dtype=np.float32) + smooth[..., 0]
    y = np.arange(height, dtype=np.float32)[:, None] + smooth[..., 1]
    return Picture(
        np.asarray(cv2.remap(picture.image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8),
        np.asarray(cv2.remap(picture.alpha, x, y, cv2.INTER_LINEAR), np.float32),
    )
