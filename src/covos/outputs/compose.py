"""The subject as an editor wants it: its colours, its alpha, and both laid over something else."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.masks.refine import foreground_colours
from covos.types import FrameResult, ImageArray, ProbabilityArray

SURE = 0.1
"""A probability this near to 0 or 1 is taken for it."""


def opacity_of(result: FrameResult) -> ProbabilityArray:
    """How opaque each pixel is.

    The probability that it belongs to the subject, with what is nearly sure made sure: a network is never quite
    certain, and an interior of 0.98 lets the background through, while one of 0.02 leaves ghosts of other things.

    Every soft format takes its alpha from here.

    Returns:
        H x W float32 in [0, 1].
    """
    stretched = (result.probability - SURE) / (1 - 2 * SURE)
    return np.asarray(np.clip(stretched, 0, 1, out=stretched), np.float32)


def alpha_of(result: FrameResult) -> NDArray[np.uint8]:
    """The same in whole numbers.

    Returns:
        H x W uint8; 255 is opaque.
    """
    return np.asarray(cv2.convertScaleAbs(opacity_of(result), alpha=255), np.uint8)


def subject_colours(result: FrameResult) -> ImageArray:
    """The colours of the subject, also where the background shines through.

    Every format with alpha, and every one that lays the subject over something else, takes its colours from here.

    Returns:
        H x W x 3 uint8 RGB: the source's own where a pixel is all subject or all background; in between, what the
        subject adds to the mix, so that a cut-out has no fringe of its old background.
    """
    alpha = opacity_of(result)
    mixed = (alpha > 0) & (alpha < 1)
    image = result.frame.image
    if not mixed.any():
        return image
    return np.asarray(np.where(mixed[..., None], foreground_colours(image, alpha), image), np.uint8)


def subject_rgba(result: FrameResult) -> NDArray[np.uint8]:
    """The subject with straight alpha, the source's colours kept even where nothing is seen of them.

    Returns:
        H x W x 4 uint8 RGBA.
    """
    return np.dstack([subject_colours(result), alpha_of(result)])


def lay_over(result: FrameResult, background: ImageArray) -> ImageArray:
    """The subject over another picture of the same size, mixed as players and browsers mix.

    Args:
        result: Of the frame.
        background: H x W x 3 uint8 RGB.

    Returns:
        H x W x 3 uint8 RGB, a new array.
    """
    alpha = opacity_of(result)
    return np.asarray(cv2.blendLinear(subject_colours(result), background, alpha, 1 - alpha), np.uint8)


def blurred_background(image: ImageArray, opacity: ProbabilityArray, *, sigma: float) -> ImageArray:
    """The picture out of focus, as if the subject were not there: its colours do not bleed into what is around it.

    A normalised convolution: colours are weighted by how much they are background, and divided by the blurred weight.

    Args:
        image: H x W x 3 uint8 RGB.
        opacity: H x W float32, of the subject.
        sigma: Of the Gaussian, in pixels.

    Returns:
        H x W x 3 uint8 RGB.
    """
    height, width = opacity.shape
    # A blurred picture has no detail to lose: a smaller one gives the same at a fraction of the time.
    step = max(1, int(sigma / 4))
    size = max(1, width // step), max(1, height // step)
    # Never quite zero, so that a picture that is all subject keeps its colours.
    weight = cv2.resize(1 - opacity, size, interpolation=cv2.INTER_AREA).clip(1e-3, 1)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32) * weight[..., None]
    spread = [cv2.GaussianBlur(each, (0, 0), sigma / step) for each in (small, weight)]
    blurred = (spread[0] / spread[1][..., None]).clip(0, 255)
    return np.rint(cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR)).astype(np.uint8)
