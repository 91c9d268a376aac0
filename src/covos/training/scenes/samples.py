"""Samples: random views of a frame, with its mask and its motion, that covos-lite learns from.

The samples of one group share a flip; geometry and colour are drawn anew for each frame. Everything is drawn from
one numpy `Generator`, so that a seed gives the same samples.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from covos.core.types import ImageArray, ProbabilityArray
from covos.engines.motion import MotionArray, residual_motion
from covos.training.scenes.light import recolour, spoil
from covos.training.scenes.neighbours import Neighbour
from covos.training.scenes.windows import area_average, seen_through, unknown_motion, window_matrix

TARGET_STRIDE = 2
"""Stride of the network's output."""


class Sample(NamedTuple):
    """One training frame: the target is the share of each cell that the subject covers.

    Picture of H x W, target and weight of H/2 x W/2, motion of H/4 x W/4, all zero if it is not known.
    """

    image: ImageArray
    target: ProbabilityArray
    weight: ProbabilityArray
    motion: MotionArray


class Framing(NamedTuple):
    """Window that a group of samples shares, in shares of the picture; each sample departs from it a little.

    Attributes:
        scale: Width of the window over the width of the largest window of its aspect that fits.
        center: (x, y) of the window in [0, 1], of the room that it has to move.
        stretch: Aspect of the window over the aspect of the view.
        flip: True if it is mirrored left to right.
    """

    scale: float
    center: tuple[float, float]
    stretch: float
    flip: bool


def draw_framing(rng: Generator, *, zoom: tuple[float, float]) -> Framing:
    """Draw the window of a group; zoom is the range of its scale."""
    return Framing(
        scale=float(rng.uniform(*zoom)),
        center=(float(rng.uniform(0, 1)), float(rng.uniform(0, 1))),
        stretch=float(np.exp(rng.uniform(-0.25, 0.25))),
        flip=bool(rng.random() < 0.5),
    )


def draw_sample(
    image: ImageArray,
    foreground: ProbabilityArray,
    valid: NDArray[np.bool_] | None,
    *,
    neighbour: Neighbour | None,
    framing: Framing,
    size: tuple[int, int],
    spoiled: bool = False,
    rng: Generator,
) -> Sample:
    """Draw one sample of a frame; ``valid`` is False where the annotation is void, None if it is void nowhere.

    The neighbour shows the motion, through the same window; without one it is unknown.
    """
    window = _draw_window(image.shape, framing=framing, size=size, rng=rng)
    # Reflection fills what lies outside the picture, in the mask too: no border that gives the subject away.
    seen = seen_through(image, window, size=size)
    target = area_average(seen_through(foreground, window, size=size), stride=TARGET_STRIDE)
    if valid is None or valid.all():
        weight = np.ones_like(target)
    else:
        weight = area_average(seen_through(valid.astype(np.float32), window, size=size), stride=TARGET_STRIDE)
    motion = unknown_motion(size)
    if neighbour is not None:
        # Of the good picture: what spoils a frame of a video spoils its neighbours, but the flow is of their match.
        motion = residual_motion(seen, seen_through(neighbour.image, window, size=size), size=size)
        if neighbour.after:
            motion[..., :2] *= -1
    coloured = recolour(seen, rng=rng)
    shown = spoil(coloured, rng=rng) if spoiled else coloured
    return Sample(image=shown, target=target, weight=weight, motion=motion)


def _draw_window(
    shape: tuple[int, ...], *, framing: Framing, size: tuple[int, int], rng: Generator
) -> NDArray[np.float64]:
    height, width = shape[:2]
    aspect = size[1] / size[0] * framing.stretch
    scale = framing.scale * float(np.exp(rng.uniform(-0.15, 0.15)))
    # A window that covers a wide picture's height, or a tall picture's width; tall subjects are then cut now and
    # then, as they are in video, and now and then seen whole with the picture's reflection beside them.
    fit = min(width, height * aspect)
    cover = min(max(width, height * aspect), 1.6 * fit)
    whole = fit * (cover / fit) ** float(rng.uniform(0, 1))
    window_w = whole * scale
    window_h = window_w / aspect
    shift = rng.uniform(-0.06, 0.06, size=2)
    center_x = width / 2 + (framing.center[0] - 0.5) * max(width - window_w, 0) + shift[0] * window_w
    center_y = height / 2 + (framing.center[1] - 0.5) * max(height - window_h, 0) + shift[1] * window_h
    return window_matrix(
        center=np.array([center_x, center_y]),
        extent=(window_w, window_h),
        degrees=rng.uniform(-10, 10),
        flip=framing.flip,
        size=size,
    )
