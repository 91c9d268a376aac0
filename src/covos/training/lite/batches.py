"""Batches made on the fly: the batch of a step depends on the seed, the step and the process alone.

So a run that is resumed sees what it would have seen, and the number of loader processes changes nothing.

Shape legend: G groups, K frames of a group, H height, W width.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from covos.core.types import ImageArray, ProbabilityArray
from covos.data import Video, read_foreground, read_image, sample_group
from covos.training.lite.recipe import LiteRecipe
from covos.training.pools import DrawnBatches
from covos.training.scenes.augment import Neighbour, View, draw_framing, draw_view
from covos.training.scenes.subjects import (
    DISTRACTED_HEIGHT_SHARE,
    HEIGHT_SHARE,
    STEP,
    background_window,
    cut_out,
    own_step,
    paste,
    small_step,
    stand_in,
    still_neighbour,
    video_neighbour,
    warp,
)

MIN_SUBJECT = 0.01
"""Least share of a view that the subject of a still picture must cover; else the view is drawn again."""
TRIES = 4
WHOLE = (0.9, 1.2)
"""A zoom at which most of a picture is seen."""


class Batch(NamedTuple):
    """The frames of one step. The frames of a group are neighbours: frame g * K + k is the k-th of group g."""

    image: Tensor
    """(G K) x 3 x H x W uint8 RGB, channels-last in memory."""
    target: Tensor
    """(G K) x 1 x H/2 x W/2 float32 in [0, 1]."""
    weight: Tensor
    """(G K) x 1 x H/2 x W/2 float32 in [0, 1]; 0 where the annotation is void."""
    motion: Tensor
    """(G K) x 4 x H/4 x W/4 float32; all zero for frames whose motion is not known."""
    group_size: int
    """K."""

    def to(self, device: torch.device) -> Batch:
        """The batch on a device."""
        parts = (self.image, self.target, self.weight, self.motion)
        image, target, weight, motion = (part.to(device, non_blocking=True) for part in parts)
        return Batch(image, target, weight, motion, self.group_size)


class StepBatches(DrawnBatches[Batch, LiteRecipe]):
    """Item s is the batch of step s, see `DrawnBatches`; each process draws its own frames."""

    def __getitem__(self, step: int) -> Batch:
        recipe = self.recipe
        rng = np.random.default_rng((recipe.seed, step, self.group.rank) if self.group.rank else (recipe.seed, step))
        size = int(rng.choice(recipe.group_sizes))
        crop = recipe.crops[int(rng.choice(len(recipe.crops), p=recipe.crop_chances))]
        views: list[View] = []
        for _ in range(recipe.frames_per_step // self.group.size // size):
            views += self._group(size, crop, rng)
        image = torch.from_numpy(np.stack([view.image for view in views])).permute(0, 3, 1, 2)
        target = torch.from_numpy(np.stack([view.target for view in views]))[:, None]
        weight = torch.from_numpy(np.stack([view.weight for view in views]))[:, None]
        motion = torch.from_numpy(np.stack([view.motion for view in views])).permute(0, 3, 1, 2)
        return Batch(image, target, weight, motion, size)

    def _group(self, group_size: int, crop: tuple[int, int], rng: Generator) -> list[View]:
        zoom = self.recipe.zoom
        if self.still is not None and rng.random() < self.recipe.paste_share:
            scattered = rng.random() < self.recipe.scatter_share
            compose = self._scattered if scattered else self._composed
            composed = compose(group_size, crop, rng)
            if composed is not None:
                return composed
        pool = self.moving if rng.random() < self.recipe.video_share else self.still
        pool = pool or self.moving or self.still
        assert pool is not None, "checked on construction"
        for _ in range(TRIES):
            video = pool.draw(rng)
            records = sample_group(video, size=group_size, rng=rng)
            # One reading for the views of one picture.
            read = {record.stem: (read_image(record), *read_foreground(video, record)) for record in set(records)}
            # A soft label that is nowhere sure is no subject; a video may show none for a while.
            if video.kind == "video" or any(foreground.max() > 0.5 for _, foreground, _ in read.values()):
                break
        framing = draw_framing(rng, zoom=zoom)
        moving = rng.random() < self.recipe.motion_share
        views = []
        for record in records:
            image, foreground, valid = read[record.stem]
            neighbour = None
            if moving and video.kind == "video":
                neighbour = video_neighbour(video, record, most=self.recipe.motion_gap, rng=rng)
            elif moving:
                neighbour = still_neighbour(image, foreground, rng=rng)
            spoiled = rng.random() < self.recipe.spoil_share
            for _ in range(TRIES):
                view = draw_view(
                    image, foreground, valid, neighbour=neighbour, framing=framing, size=crop, spoiled=spoiled, rng=rng
                )
                if video.kind == "video" or view.target.mean() >= MIN_SUBJECT:
                    break
                framing = draw_framing(rng, zoom=zoom)
            views.append(view)
        return views

    def _scattered(self, group_size: int, crop: tuple[int, int], rng: Generator) -> list[View] | None:
        """A subject in as many places as there are frames, each with a subject of its own."""
        assert self.still is not None
        subject = _subject(self.still.draw(rng))
        if subject is None:
            return None
        share = float(np.exp(rng.uniform(*np.log(DISTRACTED_HEIGHT_SHARE))))
        # Nearly all of the picture: in a part of it the subject might not be.
        framing = draw_framing(rng, zoom=WHOLE)
        views = []
        for _ in range(group_size):
            ground = self.still.draw(rng)
            (record,) = sample_group(ground, size=1, rng=rng)
            height = share * float(np.exp(rng.uniform(-0.2, 0.2)))
            center = rng.uniform(0.3, 0.7, size=2)
            pasted, mask = paste(read_image(record), *subject, height_share=height, center=center)
            valid = np.ones(mask.shape, bool)
            views.append(draw_view(pasted, mask, valid, neighbour=None, framing=framing, size=crop, rng=rng))
        return views

    def _composed(self, group_size: int, crop: tuple[int, int], rng: Generator) -> list[View] | None:
        """A small subject of a still picture that moves over a background; None if one of them does not lend itself."""
        assert self.still is not None
        place = self.still.place(rng)
        subject = _subject(self.still.videos[place])
        ground = (self.moving or self.still).draw(rng)
        (record,) = sample_group(ground, size=1, rng=rng)
        image, foreground = read_image(record), read_foreground(ground, record).probability
        distracting = rng.random() < self.recipe.distractor_share
        if distracting:
            scene: ImageArray | None = image
        else:
            window = background_window(image, foreground > 0.5, rng=rng)
            scene = None if window is None else image[window]
        if subject is None or scene is None:
            return None
        # Without the motion nobody could tell the pasted subject from the one that was there.
        moving = distracting or rng.random() < self.recipe.motion_share
        framing = draw_framing(rng, zoom=self.recipe.zoom)
        share = float(np.exp(rng.uniform(*np.log(DISTRACTED_HEIGHT_SHARE if distracting else HEIGHT_SHARE))))
        if distracting:
            crowd = [_subject(self.still.beside(place, rng)) for _ in range(rng.integers(self.recipe.bystanders + 1))]
            scene = stand_in(scene, [cut for cut in crowd if cut is not None], height_share=share, rng=rng)
        middle = rng.uniform(0.15, 0.85, size=2)
        views = []
        for _ in range(group_size):
            center = middle + rng.uniform(-STEP / 2, STEP / 2, size=2)
            height = share * float(np.exp(rng.uniform(-0.2, 0.2)))
            pasted, mask = paste(scene, *subject, height_share=height, center=center)
            neighbour = None
            if moving:
                camera = small_step(scene.shape, rng=rng)
                before = center + own_step(rng=rng)
                beside, _ = paste(warp(scene, camera), *subject, height_share=height, center=before)
                neighbour = Neighbour(image=beside, after=False)
            valid = np.ones(mask.shape, bool)
            spoiled = rng.random() < self.recipe.spoil_share
            views.append(
                draw_view(
                    pasted, mask, valid, neighbour=neighbour, framing=framing, size=crop, spoiled=spoiled, rng=rng
                )
            )
        return views


def _subject(picture: Video) -> tuple[ImageArray, ProbabilityArray] | None:
    """The subject of a still picture, cut out."""
    return cut_out(read_image(picture.frames[0]), read_foreground(picture, picture.frames[0]).probability)
