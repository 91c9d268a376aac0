"""Clips to be followed: frames of a video or a camera over a still picture, with further objects moved over them."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from covos.core.errors import InputError
from covos.core.types import ImageArray, ProbabilityArray
from covos.data import Video, read_foreground, read_image, read_labels, sample_group
from covos.engines.motion import motion_and_flow, residual_motion
from covos.masks import VOID
from covos.training.pools import Pool
from covos.training.recipe import FollowRecipe
from covos.training.scenes.cutouts import draw_cutouts
from covos.training.scenes.light import Grade
from covos.training.scenes.sprites import Sprite, draw_sprite, draw_twin, render
from covos.training.scenes.windows import area_average, draw_camera, seen_through, unknown_motion

TARGET_STRIDE = 2
"""Stride of the network's output."""
MIN_CELLS = 24.0
"""An object must cover this many cells of the first frame's mask to be followed."""
IN_THE_WAY = 0.15
"""Share of the moving objects that are not followed."""
TRIES = 8


class Clip(NamedTuple):
    """K frames with the visible parts of O objects, each of which is visible in frame 0.

    Pictures of H x W; masks (O x K) and validity of H/2 x W/2; motion and flow of H/4 x W/4. The motion is all zero if it is not to be
    known. The flow goes from each frame to the one before, see `covos.engines.motion.MotionFlow`; it is all zero in
    frame 0, and everywhere if it is not to be known.
    """

    images: ImageArray
    masks: ProbabilityArray
    valid: ProbabilityArray
    motion: NDArray[np.float32]
    flow: NDArray[np.float32]
    flow_known: bool


class _Ground(NamedTuple):
    """Picture below everything in one frame, with its own objects."""

    image: ImageArray
    alphas: list[ProbabilityArray]
    valid: ProbabilityArray


def draw_clip(moving: Pool | None, still: Pool | None, *, frames: int, recipe: FollowRecipe, rng: Generator) -> Clip:
    """Draw one clip, whose scene is a video or a still picture: there is one of the two at least."""
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
    size = recipe.crop
    from_video = still is None or (moving is not None and rng.random() < recipe.video_share)
    pool = moving if from_video else still
    assert pool is not None, "one of the two at least"
    grounds = _grounds(pool.draw(rng), frames=frames, recipe=recipe, rng=rng)
    windows = draw_camera(grounds[0].image.shape, frames=frames, size=size, zoom=recipe.zoom, calm=from_video, rng=rng)
    sprites: list[Sprite] = []
    if still is not None and (not from_video or rng.random() < recipe.crowd_share):
        for cutout in draw_cutouts(still, most=recipe.most_objects, rng=rng):
            followed, bend = rng.random() >= IN_THE_WAY, rng.random() < 0.6
            sprites.append(draw_sprite(cutout, frames=frames, size=size, followed=followed, bend=bend, rng=rng))
    followed_ones = [*range(len(grounds[0].alphas))]
    followed_ones += [len(grounds[0].alphas) + k for k, sprite in enumerate(sprites) if sprite.followed]
    if rng.random() < recipe.twin_share and followed_ones:
        view, masks = render(grounds[0].image, grounds[0].alphas, windows[0], sprites, frame=0, size=size)
        original = masks[followed_ones[int(rng.integers(len(followed_ones)))]]
        twin = draw_twin(view, original, frames=frames, rng=rng)
        sprites += [] if twin is None else [twin]
    grade = Grade.draw(rng)
    images, visible, known = [], [], []
    for index, (ground, window) in enumerate(zip(grounds, windows, strict=True)):
        view, masks = render(ground.image, ground.alphas, window, sprites, frame=index, size=size)
        images.append(grade.apply(view, rng=rng))
        visible.append([area_average(masks[k], stride=TARGET_STRIDE) for k in followed_ones])
        known.append(area_average(seen_through(ground.valid, window, size=size), stride=TARGET_STRIDE))
    stacked = np.reshape([np.stack(layer) for layer in zip(*visible, strict=True)], (-1, frames, *known[0].shape))
    kept = [k for k in range(len(stacked)) if stacked[k, 0].sum() >= MIN_CELLS]
    rng.shuffle(kept)
    motion_known, flow_known = rng.random() < recipe.motion_share, rng.random() < recipe.flow_share
    motion, flow = _motion_and_flow(images, size=size, motion_known=motion_known, flow_known=flow_known)
    return Clip(
        images=np.stack(images),
        masks=stacked[kept[: recipe.most_objects]].astype(np.float32),
        valid=np.stack(known),
        motion=motion,
        flow=flow,
        flow_known=flow_known,
    )


def _grounds(video: Video, *, frames: int, recipe: FollowRecipe, rng: Generator) -> list[_Ground]:
    """Read frames of a video, or one picture that is shown many times."""
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


def _motion_and_flow(
    images: list[ImageArray], *, size: tuple[int, int], motion_known: bool, flow_known: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the motion as in use: from the predecessor, and to the successor for the first frame; and the flow."""
    motion = np.stack([unknown_motion(size)] * len(images))
    flow = np.zeros((*motion.shape[:3], 2), np.float32)
    if not motion_known and not flow_known:
        return motion, flow
    later = [motion_and_flow(here, before, size=size) for before, here in pairwise(images)]
    if flow_known:
        flow[1:] = np.stack([found.flow for found in later])
    if motion_known:
        motion[1:] = np.stack([found.motion for found in later])
        motion[0] = residual_motion(images[0], images[1], size=size)
        motion[0, ..., :2] *= -1
    return motion, flow
