"""Work on pictures in linear light, as lenses do it: out of focus, light around an edge.

Coded values are taken for sRGB (IEC 61966-2-1). Blurring them as they are would make bright points grey; in linear
light they become the discs that a camera shows.
"""

from __future__ import annotations

from functools import cache
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.types import ProbabilityArray
from covos.masks.foreground import Samples
from covos.media.srgb import from_code, samples_of

Light: TypeAlias = NDArray[np.float32]
"""H x W x 3 float32 RGB in [0, 1], proportional to light."""

_DISC = 12
"""Radius in pixels that a disc is drawn with; a larger one is drawn on a smaller picture, which loses nothing by it."""
_MARGIN = 0.008
"""Within this distance of the subject nothing is taken for the background's, in heights of the frame."""
_EMPTY = 1e-6
_FAINT = 1e-3
"""Weight of what is not to be seen; it counts only where nothing else is near."""

_WRAP = 0.6
"""Strength of the light that wraps around an edge."""


@cache
def _to_light_table(bits: int) -> NDArray[np.float32]:
    return from_code(np.arange(1 << bits) / ((1 << bits) - 1)).astype(np.float32)


def to_light(image: NDArray[Samples]) -> Light:
    """Return the light of a picture, H x W x 3 RGB, uint8 or uint16."""
    if image.dtype == np.uint16:
        return _to_light_table(16)[image]
    return np.asarray(cv2.LUT(image, _to_light_table(8)), np.float32)


def to_picture(light: Light, like: NDArray[Samples]) -> NDArray[Samples]:
    """Return the picture of light, H x W x 3 RGB; what is brighter than white is cut.

    Args:
        light: The light.
        like: A picture of the kind of samples that are wanted, uint8 or uint16.
    """
    return np.asarray(samples_of(light, bits=16 if like.dtype == np.uint16 else 8), like.dtype)


def defocused(image: NDArray[Samples], opacity: ProbabilityArray, *, radius: float) -> NDArray[Samples]:
    """Put a picture out of focus as if the subject were not there: its colours do not bleed into what is around it.

    The picture around the subject is drawn out over its place; then each point becomes the disc that a lens makes of
    it.

    Args:
        image: H x W x 3 RGB, uint8 or uint16.
        opacity: H x W float32 in [0, 1] of the subject.
        radius: Of the disc, in pixels.
    """
    height, width = opacity.shape
    step = max(1.0, radius / _DISC)
    size = max(1, round(width / step)), max(1, round(height / step))
    # A mixed pixel has some of the subject's colour, and so has one beside it, where a mask is a little too small.
    side = 2 * max(1, round(_MARGIN * height)) + 1
    near = cv2.dilate(opacity, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    # A thing that is thinner than that, alone in the picture, is drawn out of its own edge.
    weight = np.asarray(np.maximum(np.clip(1 - 4 * near, 0, 1), _FAINT * (1 - opacity)), np.float32)
    light = np.asarray(to_light(image) * weight[..., None], np.float32)
    small, there = (cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in (light, weight))
    ground = drawn_out(np.asarray(small, np.float32), np.asarray(there, np.float32))
    blurred = cv2.filter2D(ground, cv2.CV_32F, disc(radius / step), borderType=cv2.BORDER_REPLICATE)
    if step > 1:
        blurred = cv2.resize(blurred, (width, height), interpolation=cv2.INTER_CUBIC)
    return to_picture(np.asarray(blurred, np.float32), image)


def drawn_out(weighted: Light, weight: NDArray[np.float32]) -> Light:
    """Fill the places that have no weight smoothly from those around them, the near ones first.

    Pull and push, Gortler et al., *The Lumigraph*, SIGGRAPH 1996, section 3.4: means of two by two pixels, of these
    again, and so on. Then back, each level fills the holes of the finer one.

    Args:
        weighted: H x W x 3 float32, colours times their weight.
        weight: H x W float32 in [0, 1].
    """
    height, width = weight.shape
    known = weighted / np.maximum(weight, _EMPTY)[..., None]
    if min(height, width) <= 1 or float(weight.min()) >= 1:
        return np.asarray(known, np.float32)
    size = (width + 1) // 2, (height + 1) // 2
    less, share = (cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in (weighted, weight))
    # A pixel that is known by a quarter is known.
    gain = np.minimum(1, 4 * share) / np.maximum(share, _EMPTY)
    coarse = drawn_out(np.asarray(less * gain[..., None], np.float32), np.asarray(share * gain, np.float32))
    fill = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(weighted + (1 - weight)[..., None] * fill, np.float32)


def disc(radius: float) -> NDArray[np.float32]:
    """Return a disc with a smooth rim, a square of odd side whose sum is 1."""
    reach = int(np.ceil(radius))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    inside = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
    return np.asarray(inside / inside.sum(), np.float32)


def wrapped(
    laid: NDArray[Samples], background: NDArray[Samples], opacity: ProbabilityArray, *, radius: float
) -> NDArray[Samples]:
    """Let light of the background wrap around the edges of the subject, as a lens does with what is bright behind it.

    Args:
        laid: The subject over the background, H x W x 3 RGB, uint8 or uint16.
        background: Of the same size and kind.
        opacity: H x W float32 in [0, 1].
        radius: How far inwards it is seen, in pixels.
    """
    sigma = max(radius / 2, 0.5)
    share = np.asarray(_WRAP * opacity * softened(1 - opacity, sigma), np.float32)
    x, y, width, height = cv2.boundingRect((share > 1 / 512).view(np.uint8))
    if not width:
        return laid
    part = np.s_[y : y + height, x : x + width]
    spill = softened(to_light(background), sigma)[part] * share[part][..., None]
    light = to_light(np.ascontiguousarray(laid[part]))
    found = laid.copy()
    # Two lights on one another, which never become more than white.
    found[part] = to_picture(light + spill - light * spill, laid)
    return found


def softened(values: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Blur by a Gaussian; a wide one on a smaller picture."""
    height, width = values.shape[:2]
    step = max(1.0, sigma / 4)
    size = max(1, round(width / step)), max(1, round(height / step))
    small = cv2.resize(values, size, interpolation=cv2.INTER_AREA) if step > 1 else values
    soft = cv2.GaussianBlur(small, (0, 0), sigma / step)
    if step > 1:
        soft = cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(soft, np.float32)
