"""Frames with true objects for dividing what touches, made of pictures that no training draws. For measuring.

``alone`` is a picture with one subject, of a data set whose pictures show one person or one animal. In ``row`` further
subjects of that data set stand beside it and overlap, as they do in training (`covos.training.scenes.mates`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from covos.core.types import ImageArray, LabelArray
from covos.data import open_collection, read_foreground, read_image
from covos.training.pools import make_pool, only_held_back
from covos.training.recipe import PromptRecipe
from covos.training.registry import load_recipe
from covos.training.scenes.frames import draw_frame

SIZE = (320, 576)
"""Height and width of a row's frame."""
SMALLEST = 0.01
"""Share of the frame from which a thing counts in a row; a row has two of them, at least."""

Touching = tuple[str, ImageArray, LabelArray]
"""The kind, the picture, and its labels from 1."""


def touching_frames(root: Path, names: Sequence[str], *, count: int) -> Iterator[Touching]:
    """Give ``count`` frames of each kind, of the data sets with these names below a folder."""
    held = [each for each in only_held_back(open_collection(root)) if each.root.name in names]
    for dataset in held:
        for video in list(dataset)[: -(-count // len(held))]:
            record = video.frames[0]
            yield "alone", read_image(record), (read_foreground(video, record).probability > 0.5).astype(np.uint8)
    recipe = load_recipe("prompt-mates", settings=_ROWS)
    assert isinstance(recipe, PromptRecipe)
    still, rng = make_pool(held, kind="image"), np.random.default_rng(5)
    made = 0
    while made < count:
        frame = draw_frame(None, still, recipe=recipe, rng=rng)
        masks = [mask > 0.5 for mask in frame.masks]
        if sum(mask.mean() > SMALLEST for mask in masks) < 2:
            continue
        labels = np.zeros(SIZE, np.uint8)
        for identity, mask in enumerate(masks, 1):
            labels[mask] = identity
        yield "row", np.ascontiguousarray(frame.image), labels
        made += 1


_ROWS = {
    "mates_share": 1.0,
    "crowd_share": 0.0,
    "twin_share": 0.0,
    "component_share": 0.0,
    "video_share": 0.0,
    "spoil_share": 0.0,
    "motion_share": 0.0,
    "crop": SIZE,
    "zoom": (0.8, 1.15),
}
