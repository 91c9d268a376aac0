"""Clips to be followed: frames of a video or a camera over a still picture, with further objects moved over them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from covos.core.errors import InputError
from covos.core.types import ImageArray, ProbabilityArray
from covos.data import Video, read_foreground, read_image, read_labels, sample_group
from covos.engines.motion import residual_motion
from covos.masks import VOID
from covos.models.lite import MOTION_CHANNELS, MOTION_STRIDE
from covos.training.follow.recipe import FollowRecipe
from covos.training.pools import Pool
from covos.training.scenes.layers import (
    Picture,
    Sprite,
    at_stride,
    draw_camera,
    draw_sprite,
    draw_twin,
    lay_over,
    recoloured,
    seen_through,
)
from covos.training.scenes.subjects import cut_out

MIN_CELLS = 6.0
"""An object must cover this many cells of the first frame's mask to be followed."""
TWIN = 0.2
"""Share of the objects that are look-alikes of the one before."""
IN_THE_WAY = 0.15
"""Share of the moving objects that are not followed."""
TRIES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """Frames with their objects.

    Attributes:
        images: K x H x W x 3 uint8 RGB.
        masks: O x K x H/4 x W/4 float32 in [0, 1]: the visible part of each object; each is visible in frame 0.
        valid: K x H/4 x W/4 float32 in [0, 1]; 0 where the annotation is void.
        motion: K x H/4 x W/4 x 4 float32, see `residual_motion`; all zero if it is not to be known.
    """

    images: ImageArray
    masks: ProbabilityArray
    valid: ProbabilityArray
    motion: NDArray[np.float32]


def draw_clip(moving: Pool | None, still: Pool | None, *, frames: int, recipe: FollowRecipe, rng: Generator) -> Clip:
    """Draw one clip.

    Args:
        moving: Videos.
        still: Still pictures; one of the two at least.
        frames: How many.
        recipe: Sizes and shares.
        rng: Source of everything drawn.

    Raises:
        InputError: Hardly a frame shows its object.
    """
    for _ in range(TRIES):
        clip = _drawn(moving, still, frames=frames, recipe=recipe, rng=rng)
        if len(clip.masks):
            return clip
    raise InputError(
        "there is nothing to follow in the training data",
        why=f"of {TRIES} clips drawn none shows an object in its first frame",
        fix="look at the annotations with: covos data inspect ROOT",
    )


def _drawn(moving: Pool | None, still: Pool | None, *, frames: int, recipe: FollowRecipe, rng: Generator) -> Clip:
    from_video = still is None or (moving is not None and rng.random() < recipe.video_share)
    pool = moving if from_video else still
    assert pool is not None, "one of the two at least"
    scene = _scene(pool.draw(rng), frames=frames, recipe=recipe, rng=rng)
    windows = draw_camera(
        scene[0].image.shape, frames=frames, size=recipe.crop, zoom=recipe.zoom, calm=from_video, rng=rng
    )
    sprites: list[Sprite] = []
    if still is not None and (not from_video or rng.random() < recipe.crowd_share):
        sprites = _sprites(still, frames=frames, recipe=recipe, rng=rng)
    if rng.random() < recipe.twin_share:
        image, masks, followed = _composed(scene[0], windows[0], sprites, frame=0, size=recipe.crop)
        shown = [mask for mask, wanted in zip(masks, followed, strict=True) if wanted]
        twin = draw_twin(image, shown[int(rng.integers(len(shown)))], frames=frames, rng=rng) if shown else None
        sprites += [] if twin is None else [twin]
    grade = Grade.draw(rng)
    images, visible, known = [], [], []
    for index, (below, window) in enumerate(zip(scene, windows, strict=True)):
        image, masks, followed = _composed(below, window, sprites, frame=index, size=recipe.crop)
        images.append(grade.apply(image, rng=rng))
        visible.append([at_stride(mask) for mask, wanted in zip(masks, followed, strict=True) if wanted])
        known.append(at_stride(seen_through(below.valid, window, size=recipe.crop)))
    cells = known[0].shape
    stacked = np.reshape([np.stack(layer) for layer in zip(*visible, strict=True)], (-1, frames, *cells))
    kept = [k for k in range(len(stacked)) if stacked[k, 0].sum() >= MIN_CELLS]
    rng.shuffle(kept)
    return Clip(
        images=np.stack(images),
        masks=stacked[kept[: recipe.most_objects]].astype(np.float32),
        valid=np.stack(known),
        motion=_motion(images, size=recipe.crop, known=rng.random() < recipe.motion_share),
    )


def _composed(
    below: _Ground, window: NDArray[np.float64], sprites: list[Sprite], *, frame: int, size: tuple[int, int]
) -> tuple[ImageArray, list[ProbabilityArray], list[bool]]:
    """The view, what is visible of each thing in it, and whether that is followed."""
    image = seen_through(below.image, window, size=size)
    masks = [seen_through(alpha, window, size=size) for alpha in below.alphas]
    followed = [True] * len(masks)
    for sprite in sprites:
        image, masks, own = lay_over(image, masks, sprite, frame=frame)
        masks.append(own)
        followed.append(sprite.followed)
    return image, masks, followed


class _Ground(NamedTuple):
    """What lies below everything in one frame, with its own objects."""

    image: ImageArray
    alphas: list[ProbabilityArray]
    valid: ProbabilityArray


def _scene(video: Video, *, frames: int, recipe: FollowRecipe, rng: Generator) -> list[_Ground]:
    """The frames of a video, or one picture many times."""
    if video.kind != "video":
        (record,) = video.frames
        alpha, valid = read_foreground(video, record)
        return [_Ground(read_image(record), [alpha], valid.astype(np.float32))] * frames
    gap = int(rng.integers(1, recipe.max_gap + 1))
    records = sample_group(video, size=frames, max_gap=gap, rng=rng)
    if rng.random() < 0.5:
        records = records[::-1]
    labels = [read_labels(video, record) for record in records]
    # Objects that appear later have no first mask to be followed from.
    ids = [identity for identity in np.unique(labels[0]) if identity not in (0, VOID)]
    rng.shuffle(ids)
    return [
        _Ground(
            read_image(record),
            [(ids_of == identity).astype(np.float32) for identity in ids[: recipe.most_objects]],
            (ids_of != VOID).astype(np.float32),
        )
        for record, ids_of in zip(records, labels, strict=True)
    ]


def _sprites(still: Pool, *, frames: int, recipe: FollowRecipe, rng: Generator) -> list[Sprite]:
    sprites: list[Sprite] = []
    for _ in range(int(rng.integers(1, recipe.most_objects + 1))):
        if sprites and rng.random() < TWIN:
            picture = recoloured(sprites[-1].picture, rng=rng)
        else:
            video = still.draw(rng)
            subject = cut_out(read_image(video.frames[0]), read_foreground(video, video.frames[0]).probability)
            if subject is None:
                continue
            picture = Picture(*subject)
        followed, bend = rng.random() >= IN_THE_WAY, rng.random() < 0.6
        sprites.append(draw_sprite(picture, frames=frames, size=recipe.crop, followed=followed, bend=bend, rng=rng))
    return sprites


@dataclass(frozen=True, slots=True)
class Grade:
    """Light and colour of a clip, from which its frames depart a little."""

    gain: float
    bias: float
    tint: NDArray[np.float64]
    blur: float

    @classmethod
    def draw(cls, rng: Generator) -> Grade:
        """Draw one."""
        blur = float(rng.uniform(0.4, 1.2)) if rng.random() < 0.2 else 0.0
        return cls(float(rng.uniform(0.75, 1.25)), float(rng.uniform(-20, 20)), rng.uniform(0.92, 1.08, size=3), blur)

    def apply(self, image: ImageArray, *, rng: Generator) -> ImageArray:
        """A frame in this light."""
        gain = self.gain * self.tint * rng.uniform(0.95, 1.05)
        levels = np.arange(256, dtype=np.float64)[:, None]
        table = np.clip((levels - 128) * gain + 128 + self.bias + rng.uniform(-4, 4), 0, 255).astype(np.uint8)
        graded = np.asarray(cv2.LUT(image, table[:, None]), np.uint8)
        return np.asarray(cv2.GaussianBlur(graded, (0, 0), self.blur), np.uint8) if self.blur else graded


def _motion(images: list[ImageArray], *, size: tuple[int, int], known: bool) -> NDArray[np.float32]:
    """As in use: from the predecessor, and to the successor for the first frame."""
    if not known:
        cells = size[0] // MOTION_STRIDE, size[1] // MOTION_STRIDE
        return np.zeros((len(images), *cells, MOTION_CHANNELS), np.float32)
    first = residual_motion(images[0], images[1], size=size)
    first[..., :2] *= -1
    later = [residual_motion(here, before, size=size) for before, here in pairwise(images)]
    return np.stack([first, *later])
