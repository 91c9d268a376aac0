"""Groups of frames that show one subject: those of a video, views of a still picture, or a subject that is pasted.

Still pictures show their subject large, and few training videos show theirs small. Without small pasted subjects that
move a network learns that subjects are large, and misses a car at the far end of a track.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from covos.core.types import ImageArray, MaskArray
from covos.data import read_foreground, read_image, sample_group
from covos.training.pools import Pool
from covos.training.recipe import LiteRecipe
from covos.training.scenes.cutouts import Cutout, cut_out_subject, log_uniform, paste
from covos.training.scenes.samples import (
    Neighbour,
    Sample,
    draw_framing,
    draw_sample,
    small_step,
    still_neighbour,
    video_neighbour,
    warp,
)

HEIGHT_SHARE = (0.08, 0.4)
"""Height of the pasted subject over the height of the background."""
DISTRACTED_HEIGHT_SHARE = (0.2, 0.8)
"""The same beside a subject that was there before: as large as that one may be."""
OWN_STEP = (0.004, 0.05)
"""Way of the subject by itself from one frame to the next, in shares of the background."""
SPREAD = 0.2
"""Way of the subject between two frames of a group, at most, in shares of the background."""
EMPTY = 0.002
"""A window is background if its own subject covers less than this share."""
MIN_SUBJECT = 0.01
"""Least share of a view that the subject of a still picture must cover; else the view is drawn again."""
WHOLE = (0.9, 1.2)
"""A zoom at which most of a picture is seen."""
WINDOW_TRIES = 8
TRIES = 4


def draw_group(
    moving: Pool | None,
    still: Pool | None,
    *,
    group_size: int,
    crop: tuple[int, int],
    recipe: LiteRecipe,
    rng: Generator,
) -> list[Sample]:
    """Draw the samples of one group from videos or still pictures: there is one of the two at least."""
    if still is not None and rng.random() < recipe.paste_share:
        if rng.random() < recipe.scatter_share:
            group = _scattered(still, group_size=group_size, crop=crop, rng=rng)
        else:
            group = _pasted(still, moving or still, group_size=group_size, crop=crop, recipe=recipe, rng=rng)
        if group is not None:
            return group
    pool = moving if rng.random() < recipe.video_share else still
    pool = pool or moving or still
    assert pool is not None, "one of the two at least"
    return _plain(pool, group_size=group_size, crop=crop, recipe=recipe, rng=rng)


def _plain(pool: Pool, *, group_size: int, crop: tuple[int, int], recipe: LiteRecipe, rng: Generator) -> list[Sample]:
    """Draw frames of a video, or views of a still picture, as they are."""
    for _ in range(TRIES):
        video = pool.draw(rng)
        records = sample_group(video, size=group_size, rng=rng)
        # One reading for the views of one picture.
        read = {record.stem: (read_image(record), *read_foreground(video, record)) for record in set(records)}
        # A soft label that is nowhere sure is no subject; a video may show none for a while.
        if video.kind == "video" or any(foreground.max() > 0.5 for _, foreground, _ in read.values()):
            break
    framing = draw_framing(rng, zoom=recipe.zoom)
    in_motion = rng.random() < recipe.motion_share
    samples = []
    for record in records:
        image, foreground, valid = read[record.stem]
        neighbour = None
        if in_motion and video.kind == "video":
            neighbour = video_neighbour(video, record, most=recipe.motion_gap, rng=rng)
        elif in_motion:
            neighbour = still_neighbour(image, foreground, rng=rng)
        spoiled = rng.random() < recipe.spoil_share
        for _ in range(TRIES):
            sample = draw_sample(
                image, foreground, valid, neighbour=neighbour, framing=framing, size=crop, spoiled=spoiled, rng=rng
            )
            if video.kind == "video" or sample.target.mean() >= MIN_SUBJECT:
                break
            framing = draw_framing(rng, zoom=recipe.zoom)
        samples.append(sample)
    return samples


def _scattered(still: Pool, *, group_size: int, crop: tuple[int, int], rng: Generator) -> list[Sample] | None:
    """Draw a subject in as many places as there are frames, each with a subject of its own."""
    subject = cut_out_subject(still.draw(rng))
    if subject is None:
        return None
    share = log_uniform(DISTRACTED_HEIGHT_SHARE, rng=rng)
    # Nearly all of the picture: in a part of it the subject might not be.
    framing = draw_framing(rng, zoom=WHOLE)
    samples = []
    for _ in range(group_size):
        ground = still.draw(rng)
        (record,) = sample_group(ground, size=1, rng=rng)
        height = share * float(np.exp(rng.uniform(-0.2, 0.2)))
        center = rng.uniform(0.3, 0.7, size=2)
        pasted, mask = paste(read_image(record), subject, height_share=height, center=center)
        samples.append(draw_sample(pasted, mask, None, neighbour=None, framing=framing, size=crop, rng=rng))
    return samples


def _pasted(
    still: Pool, grounds: Pool, *, group_size: int, crop: tuple[int, int], recipe: LiteRecipe, rng: Generator
) -> list[Sample] | None:
    """Draw a small subject of a still picture that moves over a background; None if one of them is of no use."""
    place = still.place(rng)
    subject = cut_out_subject(still.videos[place])
    ground = grounds.draw(rng)
    (record,) = sample_group(ground, size=1, rng=rng)
    scene: ImageArray | None = read_image(record)
    assert scene is not None
    distracting = rng.random() < recipe.distractor_share
    if not distracting:
        window = background_window(read_foreground(ground, record).probability > 0.5, rng=rng)
        scene = None if window is None else scene[window]
    if subject is None or scene is None:
        return None
    # Without the motion nobody could tell the pasted subject from the one that was there.
    in_motion = distracting or rng.random() < recipe.motion_share
    framing = draw_framing(rng, zoom=recipe.zoom)
    share = log_uniform(DISTRACTED_HEIGHT_SHARE if distracting else HEIGHT_SHARE, rng=rng)
    if distracting:
        others = [cut_out_subject(still.beside(place, rng)) for _ in range(rng.integers(recipe.bystanders + 1))]
        scene = add_bystanders(scene, [each for each in others if each is not None], height_share=share, rng=rng)
    middle = rng.uniform(0.15, 0.85, size=2)
    samples = []
    for _ in range(group_size):
        center = middle + rng.uniform(-SPREAD / 2, SPREAD / 2, size=2)
        height = share * float(np.exp(rng.uniform(-0.2, 0.2)))
        pasted, mask = paste(scene, subject, height_share=height, center=center)
        neighbour = None
        if in_motion:
            camera = small_step(scene.shape, rng=rng)
            before = center + own_step(rng=rng)
            beside, _ = paste(warp(scene, camera), subject, height_share=height, center=before)
            neighbour = Neighbour(image=beside, after=False)
        spoiled = rng.random() < recipe.spoil_share
        samples.append(
            draw_sample(pasted, mask, None, neighbour=neighbour, framing=framing, size=crop, spoiled=spoiled, rng=rng)
        )
    return samples


def background_window(subject: MaskArray, *, rng: Generator) -> tuple[slice, slice] | None:
    """Draw a window, half of each side or more, that a picture's own subject is not in; None if none was found."""
    height, width = subject.shape
    for _ in range(WINDOW_TRIES):
        share = rng.uniform(0.5, 1.0)
        rows, columns = int(height * share), int(width * share)
        top, left = int(rng.integers(0, height - rows + 1)), int(rng.integers(0, width - columns + 1))
        window = slice(top, top + rows), slice(left, left + columns)
        if subject[window].mean() < EMPTY:
            return window
    return None


def add_bystanders(scene: ImageArray, others: Sequence[Cutout], *, height_share: float, rng: Generator) -> ImageArray:
    """Return a scene in which others like the subject stand about: a dancer before a crowd is told by motion alone."""
    for cutout in others:
        share = height_share * float(np.exp(rng.uniform(-0.3, 0.3)))
        scene, _ = paste(scene, cutout, height_share=share, center=rng.uniform(0.1, 0.9, size=2))
    return scene


def own_step(*, rng: Generator) -> NDArray[np.float64]:
    """Draw (x, y) by which a subject moves from one frame to the next, in shares of the background; never nothing."""
    angle = rng.uniform(0, 2 * np.pi)
    length = log_uniform(OWN_STEP, rng=rng)
    return np.array([length * np.cos(angle), length * np.sin(angle)])
