"""Frames to click on: frames of videos and still pictures, over which objects cut out of others are laid.

Composed frames teach that a click may ask for anything, not only for the subject of a frame. Plain ones teach the
contours of things where nothing was pasted.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.random import Generator

from covos.core.types import ImageArray, ProbabilityArray
from covos.data import FrameRecord, Video
from covos.engines.motion import MotionArray, residual_motion
from covos.masks import VOID
from covos.training.pools import Pool
from covos.training.recipe import PromptRecipe
from covos.training.scenes.cutouts import draw_cutouts
from covos.training.scenes.light import Grade, spoil
from covos.training.scenes.mates import draw_mates, mates_of
from covos.training.scenes.pictures import read_foreground, read_image, read_labels
from covos.training.scenes.sprites import Sprite, draw_sprite, draw_twin, lay_over, render
from covos.training.scenes.windows import as_bytes, as_shares, draw_camera, seen_through, unknown_motion

FRAMES = 2
"""Paths of camera and objects are drawn for the frame and the one beside it, which shows the motion."""
PIECE = 0.05
"""A piece of a mask counts as one if it has this share of the mask."""
PIECES = 8
"""Objects of a frame beyond these are not told apart."""
OTHER_KIND = 0.3
"""Share of the rows of mates that stand beside a thing of another kind."""


class ObjectFrame(NamedTuple):
    """A frame with the visible part of each object, some of which may be empty, and motion at a quarter of its size.

    It is valid where the annotation is not void; the motion is all zero if it is not to be known.
    """

    image: ImageArray
    masks: list[ProbabilityArray]
    valid: ProbabilityArray
    motion: MotionArray


def draw_frame(moving: Pool | None, still: Pool | None, *, recipe: PromptRecipe, rng: Generator) -> ObjectFrame:
    """Draw one from a video or a still picture: there is one of the two at least."""
    size = recipe.crop
    from_video = still is None or (moving is not None and rng.random() < recipe.video_share)
    pool = moving if from_video else still
    assert pool is not None, "one of the two at least"
    place = pool.place(rng)
    video = pool.videos[place]
    record = video.annotated[int(rng.integers(len(video.annotated)))]
    alphas, valid = _objects(video, record, split=rng.random() < recipe.component_share)
    image = read_image(record)
    camera = draw_camera(image.shape, frames=FRAMES, size=size, zoom=recipe.zoom, calm=from_video, rng=rng)
    sprites: list[Sprite] = []
    if still is not None and rng.random() < recipe.crowd_share:
        for cutout in draw_cutouts(still, most=recipe.most_objects, rng=rng):
            sprites.append(draw_sprite(cutout, frames=FRAMES, size=size, followed=True, bend=False, rng=rng))
    view, masks = render(image, [as_bytes(alpha) for alpha in alphas], camera[0], sprites, frame=0, size=size)
    if masks and rng.random() < recipe.twin_share:
        twin = draw_twin(view, masks[int(rng.integers(len(masks)))], frames=FRAMES, rng=rng)
        if twin is not None:
            sprites.append(twin)
            view, masks = lay_over(view, masks, twin, frame=0)
    # Without mates nothing is drawn: the batches of earlier recipes stay as they were.
    if still is not None and recipe.mates_share and rng.random() < recipe.mates_share:
        beside = masks[int(rng.integers(len(masks)))] if masks else np.zeros(size, np.uint8)
        others = mates_of(still, None if from_video or rng.random() < OTHER_KIND else place, rng=rng)
        for mate in draw_mates(view, beside, others, frames=FRAMES, most=recipe.most_objects, rng=rng):
            sprites.append(mate)
            view, masks = lay_over(view, masks, mate, frame=0)
    grade = Grade.draw(rng)
    view = grade.apply(view, rng=rng)
    motion = unknown_motion(size)
    if rng.random() < recipe.motion_share:
        # A still picture is its own neighbour: only camera and objects move. In a video it is the frame before, or the
        # second for the first, which turns the motion round; so does mirroring a frame.
        index = video.frames.index(record)
        neighbour = read_image(video.frames[index - 1 if index else min(1, len(video.frames) - 1)])
        other, _ = render(neighbour, [], camera[1], sprites, frame=1, size=size)
        motion = residual_motion(view, grade.apply(other, rng=rng), size=size)
    if rng.random() < recipe.spoil_share:
        view = spoil(view, rng=rng)
    return ObjectFrame(
        image=view,
        masks=[as_shares(mask) for mask in masks],
        valid=seen_through(valid, camera[0], size=size),
        motion=motion,
    )


def pieces_of(mask: ProbabilityArray) -> list[ProbabilityArray]:
    """Return the connected pieces of a mask, largest first, without crumbs."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats((mask > 0.5).astype(np.uint8))
    areas = stats[1:count, cv2.CC_STAT_AREA]
    kept = [int(k) + 1 for k in np.argsort(-areas) if areas[k] >= PIECE * areas.sum()]
    if len(kept) < 2:
        return [mask]
    # Pixels between the pieces go with none of them: at a soft contour the nearest would be a guess.
    return [np.where(labels == k, mask, 0).astype(np.float32) for k in kept[:PIECES]]


def _objects(video: Video, record: FrameRecord, *, split: bool) -> tuple[list[ProbabilityArray], ProbabilityArray]:
    """Read the objects of an annotated frame, or the pieces of its subject, and where the annotation is valid."""
    if video.encoding == "ids":
        labels = read_labels(video, record)
        ids = [identity for identity in np.unique(labels) if identity not in (0, VOID)][:PIECES]
        return [(labels == each).astype(np.float32) for each in ids], (labels != VOID).astype(np.float32)
    subject, valid = read_foreground(video, record)
    return pieces_of(subject) if split else [subject], valid.astype(np.float32)
