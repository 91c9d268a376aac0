"""Twins: a video in which the mirror image of its own subject, run backward, crosses the subject. For measuring.

Two things that look alike, and move as things do, with the truth of every frame: only the place where each has been
shows which is which, and little else.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.random import Generator

from covos.core.types import ImageArray, LabelArray

SCALE = 0.9
"""Size of the twin beside the subject."""
START = (0.15, 0.45)
"""Shares of the width: at first the twin is so far beside the place of a mirror image, at last on the other side."""
RISE = 0.08
"""Share of the height by which the twin may be higher or lower."""
SUBJECT, TWIN = 1, 2


def with_twin(
    images: Sequence[ImageArray], masks: Sequence[LabelArray], *, rng: Generator
) -> tuple[list[ImageArray], list[LabelArray]]:
    """Return the frames of a video with its subject's twin before them, and their labels: 1 the subject, 2 the twin.

    Args:
        images: H x W x 3 uint8 RGB.
        masks: H x W uint8; anything but 0 is the subject.
        rng: Draws the way of the twin.
    """
    height, width = masks[0].shape
    start, stop = rng.uniform(*START) * width, -rng.uniform(*START) * width
    rise = rng.uniform(-RISE, RISE) * height
    made, labels = [], []
    for index, (image, mask) in enumerate(zip(images, masks, strict=True)):
        other = len(images) - 1 - index
        aside = start + (stop - start) * index / max(len(images) - 1, 1)
        place = np.array(
            [[SCALE, 0, (1 - SCALE) * width / 2 + aside], [0, SCALE, (1 - SCALE) * height / 2 + rise]], np.float32
        )
        drawn, shape = (
            cv2.warpAffine(np.ascontiguousarray(each[:, ::-1]), place, (width, height))
            for each in (images[other], (masks[other] > 0).astype(np.float32))
        )
        alpha = cv2.GaussianBlur(shape, (3, 3), 0)[..., None]
        made.append((image * (1 - alpha) + drawn * alpha).astype(np.uint8))
        labels.append(np.where(shape > 0.5, TWIN, (mask > 0) * SUBJECT).astype(np.uint8))
    return made, labels
