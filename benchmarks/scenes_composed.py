"""A fixed test of two abilities, composed of pictures that no training draws (see `held_back`).

``shared``: one thing, cut out of a picture, appears in every frame, over other grounds and each time beside another
thing that is as large and as much in view. A single frame does not tell which of the two is meant; what the frames
have in common does. Frames do not follow one another, so there is no motion to see.

``moving``: a thing moves over a picture that keeps its own subject, while the camera pans. Both are in every frame;
only the motion shows which one is meant.

The code is the test's own and shares nothing with what composes training frames: a change there must not move the
goal. The clips depend on the seed and on the names and contents of the pictures; `fingerprint` shows whether two
machines measured on the same frames. Weights whose training did draw these pictures have seen the things and the
grounds, though not the clips.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias, get_args

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from covos.core.errors import InputError
from covos.core.types import Frame, ImageArray, MaskArray, ProbabilityArray
from covos.data import Dataset, read_foreground, read_image

Kind: TypeAlias = Literal["shared", "moving"]
KINDS: tuple[Kind, ...] = get_args(Kind)

SIZE = (256, 448)
"""(height, width) of the frames: the size in use, so that no resizing comes between."""
FRAMES = 8
GROUNDS = 3
"""Different grounds in a clip of kind ``shared``."""
SUBJECT_AREA = (0.03, 0.55)
"""Share of its picture that a thing covers which is cut out."""
TOUCHING = 0.06
"""At most so much of the picture's border is covered by it: what is cut off looks cut off anywhere else."""
SOLID = 0.9
"""At least so much of it hangs together."""
OWN_AREA = (0.03, 0.35)
"""Share of the frame that the ground's own subject covers in a clip of kind ``moving``."""
EMPTY = 0.002
"""A ground of kind ``shared`` shows at most this share of its own subject."""
LEAST_WIDTH = 140
"""Least width of a ground, in its picture's pixels."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ComposedClip:
    """A clip whose subject is known.

    Attributes:
        name: Kind and number.
        kind: The ability that it asks for.
        frames: With consecutive indices in ``moving``, and gaps between them in ``shared``.
        truth: True mask of each frame, H x W bool.
    """

    name: str
    kind: Kind
    frames: tuple[Frame, ...]
    truth: tuple[MaskArray, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Picture:
    name: str
    image: ImageArray
    alpha: ProbabilityArray


@dataclass(frozen=True, slots=True, eq=False)
class _Pools:
    """Pictures to draw from: things to cut out, grounds without a subject, grounds that keep theirs."""

    things: list[_Picture]
    empty: list[_Picture]
    kept: list[_Picture]


def compose_clips(datasets: Iterable[Dataset], *, count: int = 24, seed: int = 0) -> tuple[ComposedClip, ...]:
    """Compose the clips, ``count`` of each kind.

    Args:
        datasets: Still pictures: those that `covos.training.pools.only_held_back` gives.
        count: Clips of each kind; the first ones are the same whatever the count.
        seed: Seed of everything drawn.

    Raises:
        InputError: Too few pictures lend themselves.
    """
    pools = _pools(datasets)
    makers: dict[Kind, Callable[[_Pools, Generator], tuple[list[ImageArray], list[MaskArray]]]] = {
        "shared": _shared,
        "moving": _moving,
    }
    clips = []
    for number, kind in enumerate(KINDS):
        for index in range(count):
            images, truth = makers[kind](pools, np.random.default_rng((seed, number, index)))
            gap = 2 if kind == "shared" else 1
            frames = tuple(
                Frame(index=gap * k, stem=f"{k:05}", image=image, pts=gap * k, time_base=Fraction(1, 25))
                for k, image in enumerate(images)
            )
            clips.append(ComposedClip(name=f"{kind}-{index:02}", kind=kind, frames=frames, truth=tuple(truth)))
    return tuple(clips)


def fingerprint(clips: Sequence[ComposedClip]) -> str:
    """Twelve hex digits of all frames and masks."""
    digest = hashlib.sha256()
    for clip in clips:
        for frame, truth in zip(clip.frames, clip.truth, strict=True):
            digest.update(frame.image.tobytes())
            digest.update(truth.tobytes())
    return digest.hexdigest()[:12]


def _shared(pools: _Pools, rng: Generator) -> tuple[list[ImageArray], list[MaskArray]]:
    subject, *others = (pools.things[int(i)] for i in rng.choice(len(pools.things), FRAMES + 1, replace=False))
    grounds = [pools.empty[int(i)].image for i in rng.choice(len(pools.empty), GROUNDS, replace=False)]
    images, truth = [], []
    for k, other in enumerate(others):
        on_the_left = bool(rng.random() < 0.5)
        ground = grounds[k % GROUNDS]
        image, _ = _paste(ground, other, _placed(other, left=not on_the_left, rng=rng), rng=rng)
        image, alpha = _paste(image, subject, _placed(subject, left=on_the_left, rng=rng), rng=rng)
        images.append(image)
        truth.append(alpha > 0.5)
    return images, truth


def _placed(thing: _Picture, *, left: bool, rng: Generator) -> NDArray[np.float64]:
    """2 x 3 matrix that puts a thing, turned a little, into one half of the frame."""
    height, width = thing.alpha.shape
    scale = min(float(rng.uniform(0.4, 0.75)) * SIZE[0] / height, 0.44 * SIZE[1] / width)
    spare = (SIZE[0] - scale * height) / 2
    x = SIZE[1] * ((0.26 if left else 0.74) + float(rng.uniform(-0.02, 0.02)))
    y = SIZE[0] / 2 + float(rng.uniform(-0.9, 0.9)) * spare
    return _matrix(thing, scale=scale, center=(x, y), degrees=float(rng.uniform(-10, 10)))


def _moving(pools: _Pools, rng: Generator) -> tuple[list[ImageArray], list[MaskArray]]:
    ground = pools.kept[int(rng.integers(len(pools.kept)))]
    thing = next(
        thing for i in rng.permutation(len(pools.things)) if (thing := pools.things[int(i)]).name != ground.name
    )
    height, width = thing.alpha.shape
    scale = min(float(rng.uniform(0.3, 0.6)) * SIZE[0] / height, 0.35 * SIZE[1] / width)
    # It begins in the half where the ground's own subject is not, and crosses a part of the frame.
    own = float(ground.alpha.sum(axis=0) @ np.arange(SIZE[1]) / ground.alpha.sum()) / SIZE[1]
    towards = -1 if own < 0.5 else 1
    x, y = SIZE[1] * (0.78 if own < 0.5 else 0.22), SIZE[0] * float(rng.uniform(0.4, 0.65))
    step = np.array([towards * rng.uniform(0.012, 0.03) * SIZE[1], rng.uniform(-0.01, 0.01) * SIZE[0]])
    camera = rng.uniform(-0.008, 0.008, size=2) * SIZE[1]
    gain = _gain(rng)
    images, truth = [], []
    for k in range(FRAMES):
        pan = np.array([[1, 0, camera[0] * (k - FRAMES / 2)], [0, 1, camera[1] * (k - FRAMES / 2)]])
        scene = cv2.warpAffine(ground.image, pan, SIZE[::-1], borderMode=cv2.BORDER_REFLECT_101)
        at = (x + step[0] * k + pan[0, 2], y + step[1] * k + pan[1, 2])
        matrix = _matrix(thing, scale=scale, center=at, degrees=0)
        image, alpha = _paste(np.asarray(scene, np.uint8), thing, matrix, gain=gain)
        images.append(image)
        truth.append(alpha > 0.5)
    return images, truth


def _matrix(thing: _Picture, *, scale: float, center: tuple[float, float], degrees: float) -> NDArray[np.float64]:
    height, width = thing.alpha.shape
    matrix = np.array(cv2.getRotationMatrix2D((width / 2, height / 2), degrees, scale), np.float64)
    matrix[:, 2] += np.array(center) - (width / 2, height / 2)
    return matrix


def _gain(rng: Generator) -> float:
    return float(rng.uniform(0.85, 1.15))


def _paste(
    ground: ImageArray, thing: _Picture, matrix: NDArray[np.float64], *, rng: Generator | None = None, gain: float = 1.0
) -> tuple[ImageArray, ProbabilityArray]:
    """Paste a thing, lighter or darker by a gain (drawn if there is a generator); also the pasted H x W alpha."""
    gain = gain if rng is None else _gain(rng)
    shrunk = float(np.hypot(matrix[0, 0], matrix[0, 1]))
    # A linear warp that skips pixels aliases; blurring first is enough for the little shrinking there is.
    image = cv2.GaussianBlur(thing.image, (0, 0), 0.5 / shrunk) if shrunk < 0.8 else thing.image
    over = cv2.warpAffine(image, matrix, SIZE[::-1], borderMode=cv2.BORDER_REPLICATE).astype(np.float32) * gain
    alpha = np.asarray(cv2.warpAffine(thing.alpha, matrix, SIZE[::-1]), np.float32)
    mixed = ground + (over - ground) * alpha[..., None]
    return np.clip(mixed + 0.5, 0, 255).astype(np.uint8), alpha


def _pools(datasets: Iterable[Dataset]) -> _Pools:
    pools = _Pools([], [], [])
    for dataset in datasets:
        for video in dataset:
            (record,) = video.frames
            picture = _Picture(video.name, read_image(record), read_foreground(video, record).probability)
            for pool, made in (
                (pools.things, _thing(picture)),
                (pools.empty, _empty_ground(picture)),
                (pools.kept, _kept_ground(picture)),
            ):
                if made is not None:
                    pool.append(made)
    if len(pools.things) <= FRAMES + 1 or len(pools.empty) < GROUNDS or not pools.kept:
        raise InputError(
            "the test clips cannot be composed",
            why=f"of the pictures held back, {len(pools.things)} can be cut out, {len(pools.empty)} have an empty part "
            f"and {len(pools.kept)} are wide enough to keep their subject",
            fix="give more still pictures with masks: one in twenty is held back",
        )
    return pools


def _thing(picture: _Picture) -> _Picture | None:
    mask = (picture.alpha > 0.5).view(np.uint8)
    rim = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    if not SUBJECT_AREA[0] <= mask.mean() <= SUBJECT_AREA[1] or rim.mean() > TOUCHING:
        return None
    _, parts, statistics, _ = cv2.connectedComponentsWithStats(mask)
    largest = 1 + int(statistics[1:, cv2.CC_STAT_AREA].argmax())
    if statistics[largest, cv2.CC_STAT_AREA] < SOLID * mask.sum():
        return None
    x, y, width, height = (int(value) for value in statistics[largest, :4])
    box = slice(max(y - 1, 0), y + height + 1), slice(max(x - 1, 0), x + width + 1)
    alone = picture.alpha * (cv2.dilate((parts == largest).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0)
    return _Picture(picture.name, picture.image[box], alone[box].astype(np.float32))


def _empty_ground(picture: _Picture) -> _Picture | None:
    """Return the largest window of the frame's aspect, on a grid of windows, that the subject is not in."""
    height, width = picture.alpha.shape
    fit = min(width, height * SIZE[1] / SIZE[0])
    for share in (1.0, 0.85, 0.7, 0.55, 0.45):
        columns, rows = int(fit * share), int(fit * share * SIZE[0] / SIZE[1])
        for top in np.linspace(0, height - rows, 5).astype(int):
            for left in np.linspace(0, width - columns, 5).astype(int):
                window = slice(top, top + rows), slice(left, left + columns)
                if columns >= LEAST_WIDTH and (picture.alpha[window] > 0.5).mean() <= EMPTY:
                    return _resized(picture, window)
    return None


def _kept_ground(picture: _Picture) -> _Picture | None:
    """Return the middle of a wide picture, in the frame's aspect, with the subject whole in it."""
    height, width = picture.alpha.shape
    if width < 1.2 * height:
        return None
    columns = min(width, int(height * SIZE[1] / SIZE[0]))
    rows = min(height, int(width * SIZE[0] / SIZE[1]))
    window = slice((height - rows) // 2, (height + rows) // 2), slice((width - columns) // 2, (width + columns) // 2)
    ground = _resized(picture, window)
    inside = float((picture.alpha[window] > 0.5).sum())
    whole = float((picture.alpha > 0.5).sum())
    fits = OWN_AREA[0] <= (ground.alpha > 0.5).mean() <= OWN_AREA[1] and inside > 0.95 * whole
    return ground if fits else None


def _resized(picture: _Picture, window: tuple[slice, slice]) -> _Picture:
    shrinks = picture.alpha[window].shape[0] >= SIZE[0]
    flags = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    image = cv2.resize(picture.image[window], SIZE[::-1], interpolation=flags)
    alpha = cv2.resize(picture.alpha[window], SIZE[::-1], interpolation=cv2.INTER_LINEAR)
    return _Picture(picture.name, np.asarray(image, np.uint8), np.asarray(alpha, np.float32))
