"""Groups of frames that show one subject: those of a video, views of a still picture, or a subject that is pasted.

Still pictures show their subject large, and few training videos show theirs small. Without small pasted subjects that
move a network learns that subjects are large, and misses a car at the far end of a track.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from covos.core.types import MaskArray
from covos.data import FrameRecord, Video, read_foreground, read_image, sample_group
from covos.training.pools import Pool
from covos.training.recipe import LiteRecipe
from covos.training.scenes.cutouts import Cutout, cut_out_subject, log_uniform
from covos.training.scenes.graphics import Graphics, draw_graphics
from covos.training.scenes.layers import (
    Layer,
    Matrix,
    PictureArray,
    as_picture,
    draw_into,
    ground,
    place_cutout,
)
from covos.training.scenes.nearby import Near, near_ground, near_things
from covos.training.scenes.samples import (
    Neighbour,
    Sample,
    Shot,
    draw_framing,
    draw_sample,
    draw_window,
    plain_sample,
    share_seen,
    small_step,
    still_neighbour,
    video_neighbour,
)
from covos.training.scenes.windows import as_bytes

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
HERD = (2, 5)
"""Others of a herd: copies of the subject that stand still."""
IN_FRONT = 0.25
"""Share of a herd that stands before the subject, where it may hide it."""
ONLY_GROUND = 0.3
"""Share of the groups with parallax without near things: a part of the ground alone is nearer."""
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
    view = _View(
        group_size=group_size,
        crop=crop,
        graphics=draw_graphics(still, size=crop, rng=rng) if rng.random() < recipe.graphics_share else None,
        shaken=rng.random() < recipe.shake,
        spoil_share=recipe.spoil_share,
    )
    if still is not None and rng.random() < recipe.paste_share:
        if rng.random() < recipe.scatter_share:
            group = _scattered(still, view=view, rng=rng)
        else:
            group = _pasted(still, moving or still, view=view, recipe=recipe, rng=rng)
        if group is not None:
            return group
    pool = moving if rng.random() < recipe.video_share else still
    pool = pool or moving or still
    assert pool is not None, "one of the two at least"
    return _plain(pool, still, view=view, recipe=recipe, rng=rng)


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """The views of the frames of a group, whatever they show."""

    group_size: int
    crop: tuple[int, int]
    graphics: Graphics | None
    shaken: bool
    spoil_share: float

    def sample(self, shot: Shot, *, window: Matrix, rng: Generator) -> Sample:
        """Draw one sample of the group."""
        spoiled = rng.random() < self.spoil_share
        return draw_sample(
            shot, window=window, size=self.crop, graphics=self.graphics, shaken=self.shaken, spoiled=spoiled, rng=rng
        )


def _plain(pool: Pool, still: Pool | None, *, view: _View, recipe: LiteRecipe, rng: Generator) -> list[Sample]:
    """Draw frames of a video, or views of a still picture, as they are but for things near the camera."""
    for _ in range(TRIES):
        video = pool.draw(rng)
        records = sample_group(video, size=view.group_size, rng=rng)
        # One reading for the views of one picture.
        read = {record.stem: _read(video, record) for record in set(records)}
        # A soft label that is nowhere sure is no subject; a video may show none for a while.
        if video.kind == "video" or any(picture[..., 3].max() > 127 for picture, _ in read.values()):
            break
    framing = draw_framing(rng, zoom=recipe.zoom)
    in_motion = rng.random() < recipe.motion_share
    parallax = in_motion and video.kind == "image" and rng.random() < recipe.parallax_share
    near: tuple[Near, ...] = ()
    if parallax and still is not None and rng.random() >= ONLY_GROUND:
        near = near_things(still, shape=read[records[0].stem][0].shape, rng=rng)
    samples = []
    for record in records:
        picture, valid = read[record.stem]
        here = tuple(thing.elsewhere(shape=picture.shape, rng=rng) for thing in near)
        neighbour = None
        if in_motion and video.kind == "video":
            neighbour = video_neighbour(video, record, most=recipe.motion_gap, rng=rng)
        elif in_motion:
            neighbour = still_neighbour(picture, near=here, parallax=parallax, rng=rng)
        layers = (ground(picture), *(thing.layer for thing in here))
        for _ in range(TRIES):
            window = draw_window(picture.shape, framing=framing, size=view.crop, rng=rng)
            if video.kind == "video" or share_seen(picture[..., 3], window, size=view.crop) >= MIN_SUBJECT:
                break
            framing = draw_framing(rng, zoom=recipe.zoom)
        samples.append(view.sample(Shot(layers, valid, neighbour), window=window, rng=rng))
    return samples


def plain_group(video: Video, *, group_size: int, size: tuple[int, int]) -> list[Sample]:
    """Return annotated frames, evenly over a video, whole and as they are, with their motion: nothing is drawn."""
    frames = video.annotated
    samples = []
    for record in (frames[(2 * k + 1) * len(frames) // (2 * group_size)] for k in range(group_size)):
        picture, valid = _read(video, record)
        index = video.frames.index(record)
        neighbour = None
        if len(video.frames) > 1:
            beside = video.frames[index - 1 if index else 1]
            neighbour = Neighbour(layers=(ground(as_picture(read_image(beside))),), after=not index)
        samples.append(plain_sample(Shot((ground(picture),), valid, neighbour), size=size))
    return samples


def _read(video: Video, record: FrameRecord) -> tuple[PictureArray, NDArray[np.bool_]]:
    """Read a frame with its subject, and where its annotation is valid."""
    foreground, valid = read_foreground(video, record)
    return as_picture(read_image(record), as_bytes(foreground)), valid


def _scattered(still: Pool, *, view: _View, rng: Generator) -> list[Sample] | None:
    """Draw a subject in as many places as there are frames, each with a subject of its own."""
    subject = cut_out_subject(still.draw(rng))
    if subject is None:
        return None
    share = log_uniform(DISTRACTED_HEIGHT_SHARE, rng=rng)
    # Nearly all of the picture: in a part of it the subject might not be.
    framing = draw_framing(rng, zoom=WHOLE)
    samples = []
    for _ in range(view.group_size):
        place = still.draw(rng)
        (record,) = sample_group(place, size=1, rng=rng)
        scene = as_picture(read_image(record))
        height = share * float(np.exp(rng.uniform(-0.2, 0.2)))
        center = rng.uniform(0.3, 0.7, size=2)
        pasted = place_cutout(subject, shape=scene.shape, height_share=height, center=center, is_subject=True)
        window = draw_window(scene.shape, framing=framing, size=view.crop, rng=rng)
        samples.append(view.sample(Shot((ground(scene), pasted)), window=window, rng=rng))
    return samples


def _pasted(still: Pool, grounds: Pool, *, view: _View, recipe: LiteRecipe, rng: Generator) -> list[Sample] | None:
    """Draw a small subject of a still picture that moves over a background; None if one of them is of no use."""
    place = still.place(rng)
    subject = cut_out_subject(still.videos[place])
    source = grounds.draw(rng)
    (record,) = sample_group(source, size=1, rng=rng)
    image = read_image(record)
    distracting = rng.random() < recipe.distractor_share
    if not distracting:
        box = background_window(read_foreground(source, record).probability > 0.5, rng=rng)
        if box is None:
            return None
        image = image[box]
    if subject is None:
        return None
    scene, shape = as_picture(image), image.shape
    # Without the motion nobody could distinguish the pasted subject from the one that was there.
    in_motion = distracting or rng.random() < recipe.motion_share
    framing = draw_framing(rng, zoom=recipe.zoom)
    share = log_uniform(DISTRACTED_HEIGHT_SHARE if distracting else HEIGHT_SHARE, rng=rng)
    in_front: list[Layer] = []
    if distracting and rng.random() < recipe.herd_share:
        behind, in_front = draw_herd(subject, shape=shape, height_share=share, rng=rng)
        scene = draw_into(scene, behind)
    elif distracting:
        others = [cut_out_subject(still.beside(place, rng)) for _ in range(rng.integers(recipe.bystanders + 1))]
        scene = add_bystanders(scene, [each for each in others if each is not None], height_share=share, rng=rng)
    near: tuple[Near, ...] = ()
    nearer: Near | None = None
    if in_motion and rng.random() < recipe.parallax_share:
        near = near_things(still, shape=shape, rng=rng) if rng.random() >= ONLY_GROUND else ()
        nearer = near_ground(scene, rng=rng) if not near or rng.random() < 0.5 else None
    middle = rng.uniform(0.15, 0.85, size=2)
    samples = []
    for _ in range(view.group_size):
        center = middle + rng.uniform(-SPREAD / 2, SPREAD / 2, size=2)
        height = share * float(np.exp(rng.uniform(-0.2, 0.2)))
        pasted = place_cutout(subject, shape=shape, height_share=height, center=center, is_subject=True)
        here = tuple(thing.elsewhere(shape=shape, rng=rng) for thing in near)
        neighbour = None
        if in_motion:
            camera = small_step(shape, rng=rng)
            way = own_step(rng=rng) * (shape[1], shape[0])
            beside = [ground(scene).moved(camera)]
            beside += [nearer.beside(camera, shape=shape)] if nearer is not None else []
            beside.append(pasted.moved(np.array([[1.0, 0.0, way[0]], [0.0, 1.0, way[1]]])))
            beside += [each.moved(camera) for each in in_front]
            beside += [thing.beside(camera, shape=shape) for thing in here]
            neighbour = Neighbour(layers=tuple(beside), after=False)
        layers = (ground(scene), pasted, *in_front, *(thing.layer for thing in here))
        window = draw_window(shape, framing=framing, size=view.crop, rng=rng)
        samples.append(view.sample(Shot(layers, None, neighbour), window=window, rng=rng))
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


def add_bystanders(
    scene: PictureArray, others: Sequence[Cutout], *, height_share: float, rng: Generator
) -> PictureArray:
    """Return a scene in which others like the subject stand about: only motion separates a dancer from a crowd."""
    return draw_into(scene, [_standing(each, shape=scene.shape, height_share=height_share, rng=rng) for each in others])


def draw_herd(
    subject: Cutout, *, shape: tuple[int, ...], height_share: float, rng: Generator
) -> tuple[list[Layer], list[Layer]]:
    """Draw the others of a subject's herd: copies of it that stand in a scene, those behind it and those before it.

    They are of other shades, and every other one is mirrored, on average: only its motion shows the subject.
    """
    behind: list[Layer] = []
    in_front: list[Layer] = []
    for _ in range(int(rng.integers(HERD[0], HERD[1] + 1))):
        mirrored = rng.random() < 0.5
        gain, bias = rng.uniform(0.85, 1.15, size=3), rng.uniform(-12, 12)
        image = np.clip(subject.image * gain + bias, 0, 255).astype(np.uint8)
        copy = Cutout(image[:, ::-1], subject.alpha[:, ::-1]) if mirrored else Cutout(image, subject.alpha)
        layer = _standing(Cutout(*map(np.ascontiguousarray, copy)), shape=shape, height_share=height_share, rng=rng)
        (in_front if rng.random() < IN_FRONT else behind).append(layer)
    return behind, in_front


def _standing(cutout: Cutout, *, shape: tuple[int, ...], height_share: float, rng: Generator) -> Layer:
    share = height_share * float(np.exp(rng.uniform(-0.3, 0.3)))
    center = rng.uniform(0.1, 0.9, size=2)
    return place_cutout(cutout, shape=shape, height_share=share, center=center, is_subject=False)


def own_step(*, rng: Generator) -> NDArray[np.float64]:
    """Draw (x, y) by which a subject moves from one frame to the next, in shares of the background; never nothing."""
    angle = rng.uniform(0, 2 * np.pi)
    length = log_uniform(OWN_STEP, rng=rng)
    return np.array([length * np.cos(angle), length * np.sin(angle)])
