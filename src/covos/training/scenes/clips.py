"""Clips to be followed: frames of a video or a camera over a still picture, with further objects moved over them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from covos.core.errors import InputError
from covos.core.types import ImageArray, LabelArray, ProbabilityArray
from covos.data import Video
from covos.engines.motion import flow_alone, motion_and_flow, residual_motion
from covos.masks import VOID
from covos.training.pools import Pool
from covos.training.recipe import FollowRecipe
from covos.training.scenes.cutouts import draw_cutouts
from covos.training.scenes.light import Grade
from covos.training.scenes.merged import draw_ids, draw_merged, draw_records
from covos.training.scenes.occluders import (
    back_elsewhere,
    draw_occluder,
    gone_for_a_while,
    ground_outline,
    hidden_frames,
    sprite_outline,
)
from covos.training.scenes.pictures import read_foreground, read_image, read_labels
from covos.training.scenes.sprites import Sprite, draw_sprite, draw_twin, render
from covos.training.scenes.windows import (
    ByteMask,
    area_average,
    as_bytes,
    draw_camera,
    seen_through,
    swayed,
    unknown_motion,
)

TARGET_STRIDE = 2
"""Stride of the network's output."""
MIN_CELLS = 24.0
"""An object must cover this many cells of the first frame's mask to be followed."""
IN_THE_WAY = 0.15
"""Share of the moving objects that are not followed."""
PLAIN = 0.15
"""Share of the clips of still pictures that show the picture's own subject alone, which moves with the scene."""
CALM = 0.25
"""Strength of the sway over a video, which has one of its own, at most; see `covos.training.scenes.windows`."""
BOTH = 0.5
"""Share of the twins that are followed, and so is their original."""
EXACT = 0.5
"""Share of the twins that are copies."""
CROSSING = 1 / 3
"""Share of the twins that pass their original, in front of it or behind."""
LEAVING = 0.4
"""Share of the hidden sprites that leave the view; the others, and all else, are hidden by a thing."""
TRIES = 8


class Clip(NamedTuple):
    """K frames with the visible parts of O objects, each of which is visible in frame 0.

    Pictures of H x W; masks (O x K) and validity of H/2 x W/2; motion and flow of H/4 x W/4. The motion is all zero if
    it is not to be known. The flow goes from each frame to the one before, see `covos.engines.motion.MotionFlow`; it is
    all zero in frame 0, and everywhere if it is not to be known.
    """

    images: ImageArray
    masks: ProbabilityArray
    valid: ProbabilityArray
    motion: NDArray[np.float32]
    flow: NDArray[np.float32]


class _Ground(NamedTuple):
    """Picture below everything in one frame, with its own objects; it is valid everywhere if that is None."""

    image: ImageArray
    masks: list[ByteMask]
    valid: ByteMask | None


class _Cast(NamedTuple):
    """The moving things of a clip: the sprites, the objects to be followed, and those of them that must be."""

    sprites: list[Sprite]
    followed: list[int]
    """Place of each among the ground's objects and, after them, the sprites."""
    leading: set[int]


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
    shape = grounds[0].image.shape
    windows = draw_camera(shape, frames=frames, size=size, zoom=recipe.zoom, calm=from_video, rng=rng)
    strength = (CALM if from_video else 1.0) * rng.random()
    windows = swayed(windows, shape=shape, size=size, strength=strength, rng=rng)
    if from_video or rng.random() >= PLAIN:
        sprites = _sprites(moving, still, frames=frames, from_video=from_video, recipe=recipe, rng=rng)
        cast = _plotted(_cast(grounds, sprites), grounds, windows, still=still, recipe=recipe, rng=rng)
    else:
        cast = _cast(grounds, [])
    grade = Grade.draw(rng)
    images = np.empty((frames, *size, 3), np.uint8)
    visible, known = [], []
    for index, (ground, window) in enumerate(zip(grounds, windows, strict=True)):
        view, masks = render(ground.image, ground.masks, window, cast.sprites, frame=index, size=size)
        images[index] = grade.apply(view, rng=rng)
        visible.append([masks[k] for k in cast.followed])
        known.append(_validity(ground, window, size=size))
    first = [float(area_average(mask, stride=TARGET_STRIDE).sum()) for mask in visible[0]]
    kept = rng.permutation([k for k, cells in enumerate(first) if cells >= MIN_CELLS]).astype(int).tolist()
    kept.sort(key=lambda k: cast.followed[k] not in cast.leading)
    kept = rng.permutation(kept[: recipe.most_objects]).astype(int).tolist()
    averaged = [[area_average(frame[k], stride=TARGET_STRIDE) for frame in visible] for k in kept]
    stacked = np.reshape(np.array(averaged, np.float32), (-1, frames, *known[0].shape))
    # One draw for both: in use, too, a flow serves both or neither, and it is the most of the work.
    lack = rng.random()
    motion_known, flow_known = lack < recipe.motion_share, lack < recipe.flow_share
    motion, flow = _motion_and_flow(images, size=size, motion_known=motion_known, flow_known=flow_known)
    return Clip(
        images=images,
        # Masks of bytes are rounded; together they may come out above one.
        masks=stacked / np.maximum(stacked.sum(axis=0), 1),
        valid=np.stack(known),
        motion=motion,
        flow=flow,
    )


def _sprites(
    moving: Pool | None, still: Pool | None, *, frames: int, from_video: bool, recipe: FollowRecipe, rng: Generator
) -> list[Sprite]:
    """Draw what moves over a picture or video: objects of another video, and cut-outs of still pictures."""
    sprites: list[Sprite] = []
    if moving is not None and rng.random() < recipe.merge_share:
        sprites += draw_merged(
            moving.draw(rng),
            frames=frames,
            size=recipe.crop,
            zoom=recipe.zoom,
            max_gap=recipe.max_gap,
            most=recipe.most_objects,
            rng=rng,
        )
    if still is not None and (not from_video or rng.random() < recipe.crowd_share):
        for cutout in draw_cutouts(still, most=recipe.most_objects, rng=rng):
            followed, bend, sway = rng.random() >= IN_THE_WAY, rng.random() < 0.6, rng.random()
            sprites.append(
                draw_sprite(cutout, frames=frames, size=recipe.crop, followed=followed, bend=bend, sway=sway, rng=rng)
            )
    return sprites


def _cast(grounds: Sequence[_Ground], sprites: list[Sprite]) -> _Cast:
    own = len(grounds[0].masks)
    followed = [*range(own), *(own + k for k, sprite in enumerate(sprites) if sprite.followed)]
    return _Cast(sprites, followed, set())


def _plotted(
    cast: _Cast,
    grounds: Sequence[_Ground],
    windows: tuple[NDArray[np.float64], ...],
    *,
    still: Pool | None,
    recipe: FollowRecipe,
    rng: Generator,
) -> _Cast:
    """Give one of the objects a twin, now and then, and hide one for a while."""
    (sprites, followed, leading), size, frames = cast, recipe.crop, len(grounds)
    own = len(grounds[0].masks)
    if followed and rng.random() < recipe.twin_share:
        view, masks = render(grounds[0].image, grounds[0].masks, windows[0], sprites, frame=0, size=size)
        original = int(rng.choice(followed))
        both = rng.random() < BOTH
        exact, crossing = rng.random() < EXACT, rng.random() < CROSSING
        twin = draw_twin(view, masks[original], frames=frames, exact=exact, crossing=crossing, followed=both, rng=rng)
        if twin is not None:
            sprites = [*sprites, twin]
            leading = {original}
            if both:
                followed = [*followed, own + len(sprites) - 1]
                leading = {original, followed[-1]}
    if followed and frames > 2 and rng.random() < recipe.hide_share:
        hidden = hidden_frames(frames, rng=rng)
        chosen = int(rng.choice(followed))
        sprite = sprites[chosen - own] if chosen >= own else None
        if sprite is not None and rng.random() < LEAVING:
            gone = gone_for_a_while(sprite, hidden=hidden, size=size, rng=rng)
            sprites = [gone if each is sprite else each for each in sprites]
        else:
            if sprite is None:
                outline = ground_outline([ground.masks[chosen] for ground in grounds], windows)
            else:
                outline = sprite_outline(sprite)
                back = back_elsewhere(sprite, hidden=hidden, size=size, rng=rng)
                sprites = [back if each is sprite else each for each in sprites]
            sprites = [*sprites, draw_occluder(outline, still=still, hidden=hidden, size=size, rng=rng)]
        leading = leading | {chosen}
    return _Cast(sprites, followed, leading)


def _validity(ground: _Ground, window: NDArray[np.float64], *, size: tuple[int, int]) -> ProbabilityArray:
    if ground.valid is None:
        return np.ones((size[0] // TARGET_STRIDE, size[1] // TARGET_STRIDE), np.float32)
    return area_average(seen_through(ground.valid, window, size=size), stride=TARGET_STRIDE)


def _grounds(video: Video, *, frames: int, recipe: FollowRecipe, rng: Generator) -> list[_Ground]:
    """Read frames of a video, or one picture that is shown many times."""
    most = recipe.most_objects
    if video.kind == "video":
        records = draw_records(video, frames=frames, max_gap=recipe.max_gap, rng=rng)
        labels = [read_labels(video, record) for record in records]
        ids = draw_ids(labels[0], most=most, rng=rng)
        return [_ground(read_image(record), seen, ids) for record, seen in zip(records, labels, strict=True)]
    (record,) = video.frames
    image = read_image(record)
    if video.encoding == "ids":
        seen = read_labels(video, record)
        return [_ground(image, seen, draw_ids(seen, most=most, rng=rng))] * frames
    alpha, valid = read_foreground(video, record)
    return [_Ground(image, [as_bytes(alpha)], None if valid.all() else valid.view(np.uint8) * np.uint8(255))] * frames


def _ground(image: ImageArray, labels: LabelArray, ids: Sequence[int]) -> _Ground:
    valid = labels != VOID
    masks = [(labels == identity).view(np.uint8) * np.uint8(255) for identity in ids]
    return _Ground(image, masks, None if valid.all() else valid.view(np.uint8) * np.uint8(255))


def _motion_and_flow(
    images: ImageArray, *, size: tuple[int, int], motion_known: bool, flow_known: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the motion as in use: from the predecessor, and to the successor for the first frame; and the flow."""
    motion = np.stack([unknown_motion(size)] * len(images))
    flow = np.zeros((*motion.shape[:3], 2), np.float32)
    if not motion_known and not flow_known:
        return motion, flow
    if motion_known:
        motion[0] = residual_motion(images[0], images[1], size=size)
        motion[0, ..., :2] *= -1
    for index, (before, here) in enumerate(pairwise(images), start=1):
        if motion_known:
            motion[index], found = motion_and_flow(here, before, size=size)
        else:
            found = flow_alone(here, before, size=size)
        if flow_known:
            flow[index] = found
    return motion, flow
