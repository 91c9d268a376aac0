"""The subject as an editor wants it: its colours, its alpha, and both laid over something else."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.types import Frame, FrameResult, ImageArray, ProbabilityArray
from covos.masks import letterbox
from covos.masks.matte import foreground_colours, stretched

Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True, kw_only=True, eq=False)
class ComposedResult(FrameResult):
    """A result with what its formats share, each worked out when a format first asks for it and then kept.

    Where several formats with alpha are written, the colours of the subject are most of the work of each.
    """

    @classmethod
    def of(cls, result: FrameResult) -> ComposedResult:
        """Return the result itself if it is one already."""
        if isinstance(result, cls):
            return result
        return cls(**{field.name: getattr(result, field.name) for field in fields(FrameResult)})

    @property
    def fitted(self) -> FrameResult:
        """The result at the size of the source, for outputs of one size: a frame of another is fitted in, with bars."""
        # Not kept where it is the result itself: one that refers to itself lives on until a garbage collection.
        return self if self.frame.source_size is None else self._letterboxed

    @cached_property
    def _letterboxed(self) -> FrameResult:
        size = self.frame.source_size
        assert size is not None, "it is fitted into another size"
        return ComposedResult(
            frame=fitted(self.frame),
            probability=letterbox(self.probability, size, smooth=True),
            labels=letterbox(self.labels, size, smooth=False),
            confidence=self.confidence,
            objects=self.objects,
            matte=None if self.matte is None else letterbox(self.matte, size, smooth=True),
        )

    @cached_property
    def opacity(self) -> ProbabilityArray:
        """Opacity of each pixel: H x W float32 in [0, 1]. Every soft format takes its alpha from here.

        Where the input has alpha, nothing is more opaque than it was there.
        """
        if self.frame.alpha is None:
            return self._found
        return _shared(np.asarray(self._found * (self.frame.alpha / np.float32(255)), np.float32))

    @cached_property
    def _found(self) -> ProbabilityArray:
        """Opacity of the subject as it was found: its matte, or else what the probability tells."""
        return _shared(stretched(self.probability) if self.matte is None else self.matte.copy())

    @cached_property
    def alpha(self) -> NDArray[np.uint8]:
        """Opacity in whole numbers: H x W uint8; 255 is opaque."""
        return _shared(np.asarray(cv2.convertScaleAbs(self.opacity, alpha=255), np.uint8))

    @cached_property
    def colours(self) -> ImageArray:
        """Colours of the subject, also where the background shines through: H x W x 3 uint8 RGB.

        They are the source's own where a pixel is all subject or all background; in between, what the subject adds to
        the mix, so that a cut-out has no fringe of its old background. Every format with alpha, and every one that
        lays the subject over something else, takes its colours from here.
        """
        image = self.frame.colours
        mixed = (self._found > 0) & (self._found < 1)
        if not mixed.any():
            return image
        return _shared(np.where(mixed[..., None], foreground_colours(image, self._found), image))

    @cached_property
    def rgba(self) -> NDArray[np.uint8]:
        """The subject with straight alpha, H x W x 4 uint8; the source's colours kept where nothing is seen of them."""
        rgba = np.asarray(cv2.cvtColor(self.colours, cv2.COLOR_RGB2RGBA), np.uint8)
        rgba[..., 3] = self.alpha
        return _shared(rgba)


def fitted(frame: Frame) -> Frame:
    """Fit a frame whose size is not that of its source into that size; the bars around it are transparent."""
    size = frame.source_size
    if size is None:
        return frame
    alpha = np.full(frame.size, 255, np.uint8) if frame.alpha is None else frame.alpha
    return replace(
        frame,
        image=letterbox(frame.image, size, smooth=True),
        bare=letterbox(frame.colours, size, smooth=True),
        alpha=letterbox(alpha, size, smooth=True),
        source_size=None,
    )


def _shared(array: NDArray[Scalar]) -> NDArray[Scalar]:
    array.setflags(write=False)  # what one format changed, the next would show
    return array


def lay_over(result: FrameResult, background: ImageArray) -> ImageArray:
    """Lay the subject over another picture of the same size, mixed as players and browsers mix."""
    composed = ComposedResult.of(result)
    alpha = composed.opacity
    return np.asarray(cv2.blendLinear(composed.colours, background, alpha, 1 - alpha), np.uint8)


def blurred_background(image: ImageArray, opacity: ProbabilityArray, *, sigma: float) -> ImageArray:
    """Blur a picture as if the subject were not there: its colours do not bleed into what is around it.

    A normalised convolution: colours are weighted by how much they are background, and divided by the blurred weight.
    ``sigma`` is the width of the Gaussian, in pixels.
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
