"""Frames to click on: frames of videos and still pictures, over which objects cut out of others are laid.

Composed frames teach that a click may ask for anything, not only for what a frame is about; plain ones, what the
contours of things look like where nothing was pasted.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from covos.core.types import ImageArray, ProbabilityArray
from covos.data import Video, read_foreground, read_image, read_labels
from covos.engines.motion import MotionArray, residual_motion
from covos.masks import VOID
from covos.models.lite import MOTION_CHANNELS, MOTION_STRIDE
from covos.training.pools import Pool
from covos.training.prompt.recipe import PromptRecipe
from covos.training.scenes.augment import spoil
from covos.training.scenes.clips import TWIN, Grade
from covos.training.scenes.layers import (
    Picture,
    Sprite,
    draw_camera,
    draw_sprite,
    draw_twin,
    lay_over,
    recoloured,
    seen_through,
)
from covos.training.scenes.subjects import cut_out

FRAMES = 2
"""Paths of camera and objects are drawn for the frame and the one beside it, which shows the motion."""
PIECE = 0.05
"""A piece of a mask counts as one if it has this share of the mask."""
PIECES = 8
"""Objects of a frame beyond these are not told apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A frame with its objects.

    Attributes:
        image: H x W x 3 uint8 RGB.
        masks: Visible part of each object, H x W float32 in [0, 1]; some may be empty.
        valid: H x W float32 in [0, 1]; 0 where the annotation is void.
        motion: H/4 x W/4 x 4 float32, see `residual_motion`; all zero if it is not to be known.
    """

    image: ImageArray
    masks: list[ProbabilityArray]
    valid: ProbabilityArray
    motion: MotionArray


def draw_scene(moving: Pool | None, still: Pool | None, *, recipe: PromptRecipe, rng: Generator) -> Scene:
    """Draw one.

    Args:
        moving: Videos.
        still: Still pictures; one of the two at least.
        recipe: Sizes and shares.
        rng: Source of everything drawn.
    """
    from_video = still is None or (moving is not None and rng.random() < recipe.video_share)
    pool = moving if from_video else still
    assert pool is not None, "one of the two at least"
    video = pool.draw(rng)
    frames = video.annotated
    place = int(rng.integers(len(frames)))
    alphas, valid = _objects(video, place, split=rng.random() < recipe.component_share)
    image = read_image(frames[place])
    camera = draw_camera(image.shape, frames=FRAMES, size=recipe.crop, zoom=recipe.zoom, calm=from_video, rng=rng)
    crowded = still is not None and rng.random() < recipe.crowd_share
    sprites = _sprites(still, recipe=recipe, rng=rng) if still is not None and crowded else []
    view, masks = _rendered(image, alphas, camera[0], sprites, frame=0, size=recipe.crop)
    if masks and rng.random() < recipe.twin_share:
        twin = draw_twin(view, masks[int(rng.integers(len(masks)))], frames=FRAMES, rng=rng)
        if twin is not None:
            sprites.append(twin)
            view, masks, own = lay_over(view, masks, twin, frame=0)
            masks.append(own)
    grade = Grade.draw(rng)
    view = grade.apply(view, rng=rng)
    cells = recipe.crop[0] // MOTION_STRIDE, recipe.crop[1] // MOTION_STRIDE
    motion: MotionArray = np.zeros((*cells, MOTION_CHANNELS), np.float32)
    if rng.random() < recipe.motion_share:
        # A still picture is its own neighbour: only camera and objects move. Of a video it is the frame before, or the
        # second of the first, which turns the motion round; so does mirroring a frame.
        every = video.frames
        index = every.index(frames[place])
        beside = read_image(every[index - 1 if index else min(1, len(every) - 1)])
        other, _ = _rendered(beside, [], camera[1], sprites, frame=1, size=recipe.crop)
        motion = residual_motion(view, grade.apply(other, rng=rng), size=recipe.crop)
    if rng.random() < recipe.spoil_share:
        view = spoil(view, rng=rng)
    return Scene(image=view, masks=masks, valid=seen_through(valid, camera[0], size=recipe.crop), motion=motion)


def pieces_of(mask: ProbabilityArray) -> list[ProbabilityArray]:
    """The connected pieces of a mask, largest first, without crumbs."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats((mask > 0.5).astype(np.uint8))
    areas = stats[1:count, cv2.CC_STAT_AREA]
    kept = [int(k) + 1 for k in np.argsort(-areas) if areas[k] >= PIECE * areas.sum()]
    if len(kept) < 2:
        return [mask]
    # What lies between the pieces goes with none of them: at a soft contour the nearest would be a guess.
    return [np.where(labels == k, mask, 0).astype(np.float32) for k in kept[:PIECES]]


def _objects(video: Video, place: int, *, split: bool) -> tuple[list[ProbabilityArray], ProbabilityArray]:
    record = video.annotated[place]
    if video.encoding == "ids":
        labels = read_labels(video, record)
        ids = [identity for identity in np.unique(labels) if identity not in (0, VOID)][:PIECES]
        return [(labels == each).astype(np.float32) for each in ids], (labels != VOID).astype(np.float32)
    subject, valid = read_foreground(video, record)
    return pieces_of(subject) if split else [subject], valid.astype(np.float32)


def _sprites(still: Pool, *, recipe: PromptRecipe, rng: Generator) -> list[Sprite]:
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
        sprites.append(draw_sprite(picture, frames=FRAMES, size=recipe.crop, followed=True, bend=False, rng=rng))
    return sprites


def _rendered(
    image: ImageArray,
    alphas: list[ProbabilityArray],
    window: NDArray[np.float64],
    sprites: list[Sprite],
    *,
    frame: int,
    size: tuple[int, int],
) -> tuple[ImageArray, list[ProbabilityArray]]:
    view = seen_through(image, window, size=size)
    masks = [seen_through(alpha, window, size=size) for alpha in alphas]
    for sprite in sprites:
        view, masks, own = lay_over(view, masks, sprite, frame=frame)
        masks.append(own)
    return view, masks
