"""Crowds: the subjects of several videos put into one, where they touch and pass before one another. For measuring.

A video keeps its own subject. The subjects of others, cut out frame by frame along their masks, stand and walk
beside it, before it and behind it: things that move as things do, with the truth of every frame.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from covos.core.types import ImageArray, LabelArray
from covos.data import Video, read_foreground, read_image

FRAMES = 30
"""Frames of a clip, the first ones of each video."""
AREA = (0.015, 0.25)
"""Share of its frames that a subject covers which is put into a crowd."""
CUT_OFF = 0.3
"""At most so many of its frames may show it at the border: what is cut off there looks cut off anywhere else."""
HEIGHT = (0.35, 0.65)
"""Longer side of a thing that joins, over the height of the frame."""
APART = (0.55, 1.05)
"""Distance of two neighbours, in the sum of their half widths: below 1 they touch."""
DRIFT = 0.12
"""Share of the width by which one that joins may move over the clip."""
OTHERS = (2, 5)
"""Things that join: at least so many, and fewer than so many."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A video with its subject: K x H x W x 3 uint8 RGB, and K x H x W uint8 that is not 0 on the subject."""

    images: Sequence[ImageArray]
    masks: Sequence[LabelArray]


def crowded(videos: Iterable[Video], *, count: int) -> Iterator[tuple[str, list[ImageArray], list[LabelArray]]]:
    """Compose clips of `FRAMES` frames, each of several videos; every second one has twins.

    Args:
        videos: With a foreground; shorter ones are left out.
        count: Number of clips; the first ones are the same whatever it is.

    Yields:
        Name, frames and labels (see `crowd`).
    """
    parts = {video.name: part_of(video, frames=FRAMES) for video in videos if len(video.frames) >= FRAMES}
    whole = [name for name, part in parts.items() if may_join(part)]
    for number in range(count):
        rng = np.random.default_rng((zlib.crc32(b"crowds"), number))
        base, *others = rng.choice(whole, 1 + int(rng.integers(*OTHERS)), replace=False).tolist()
        joining = [parts[each] for each in others]
        if number % 2:
            joining = [twin_of(parts[base]), joining[0], twin_of(joining[0]), *joining[1:]]
        yield f"{number:02}-{base}-{len(joining) + 1}", *crowd(parts[base], joining, rng=rng)


def part_of(video: Video, *, frames: int, start: int = 0) -> Part:
    """Return frames of a video, from the first or a later one on, with its foreground."""
    records = video.frames[start : start + frames]
    masks = [(read_foreground(video, record).probability > 0.5).astype(np.uint8) for record in records]
    return Part([read_image(record) for record in records], masks)


def twin_of(part: Part) -> Part:
    """Return the mirror image of a video, run backward: of the same kind, and it moves otherwise."""
    images, masks = ([np.ascontiguousarray(each[:, ::-1]) for each in side[::-1]] for side in (part.images, part.masks))
    return Part(images, masks)


def may_join(part: Part) -> bool:
    """Tell if the subject of a video looks whole when it is cut out."""
    share = [float((mask > 0).mean()) for mask in part.masks]
    edges = [np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]]).any() for mask in part.masks]
    return min(share) > 0 and AREA[0] <= float(np.median(share)) <= AREA[1] and float(np.mean(edges)) <= CUT_OFF


def crowd(base: Part, others: Sequence[Part], *, rng: Generator) -> tuple[list[ImageArray], list[LabelArray]]:
    """Return the frames of a video that others have joined, and their labels: 1 its own subject, the others from 2.

    Args:
        base: As long as the clip is to be.
        others: Each at least as long.
        rng: Draws where each stands, how large it is, and what is before what.
    """
    height, width = base.masks[0].shape
    left, _, right, bottom = _box(base.masks)
    spans = [left, right]
    ways = []
    for number, other in enumerate(others):
        x0, y0, x1, y1 = _box(other.masks)
        scale = float(rng.uniform(*HEIGHT)) * height / max(x1 - x0, y1 - y0)
        half = scale * (x1 - x0) / 2
        side, step = (1, spans[1]) if (number + int(rng.integers(2))) % 2 else (-1, spans[0])
        middle = step + side * half * (2 * float(rng.uniform(*APART)) - 1)
        middle = float(np.clip(middle, min(half, width / 2), max(width - half, width / 2)))
        spans = [min(spans[0], middle - half), max(spans[1], middle + half)]
        foot = float(np.clip(bottom + rng.uniform(-0.12, 0.12) * height, 0.5 * height, 0.97 * height))
        ways.append((scale, (x0 + x1) / 2, y1, middle, foot, float(rng.uniform(-DRIFT, DRIFT)) * width))
    order = [int(each) for each in rng.permutation(len(others) + 1)]
    images, labels = [], []
    for index, (image, mask) in enumerate(zip(base.images, base.masks, strict=True)):
        seen, label = image.astype(np.float32), (mask > 0).astype(np.uint8)
        front = order.index(len(others))
        for place, number in enumerate(order):
            if number == len(others):
                continue
            drawn, alpha = _drawn(others[number], index, ways[number], size=(height, width), frames=len(base.masks))
            if place < front:
                alpha = np.where(mask > 0, 0, alpha)
            seen += (drawn - seen) * alpha[..., None]
            label[alpha > 0.5] = number + 2
        images.append(np.clip(seen + 0.5, 0, 255).astype(np.uint8))
        labels.append(label)
    return images, labels


def _drawn(
    part: Part, index: int, way: tuple[float, float, float, float, float, float], *, size: tuple[int, int], frames: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    scale, x, y, middle, foot, drift = way
    aside = drift * (index / max(frames - 1, 1) - 0.5)
    matrix = np.array([[scale, 0, middle + aside - scale * x], [0, scale, foot - scale * y]], np.float32)
    mode = cv2.INTER_AREA if scale < 0.7 else cv2.INTER_LINEAR
    picture = cv2.GaussianBlur(part.images[index], (0, 0), 0.4 / scale) if scale < 0.8 else part.images[index]
    drawn = cv2.warpAffine(picture, matrix, size[::-1], flags=mode, borderMode=cv2.BORDER_REPLICATE)
    shape = cv2.warpAffine((part.masks[index] > 0).astype(np.float32), matrix, size[::-1])
    return drawn.astype(np.float32), np.asarray(cv2.GaussianBlur(shape, (3, 3), 0), np.float32)


def _box(masks: Sequence[LabelArray]) -> tuple[float, float, float, float]:
    """Return the median left, top, right and bottom of a subject."""
    boxes = []
    for mask in masks:
        rows, columns = np.nonzero(mask)
        if rows.size:
            boxes.append((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
    left, top, right, bottom = (float(each) for each in np.median(boxes, axis=0))
    return left, top, right, bottom
