"""The subject, or all but it, as an editor wants it: colours, alpha, and both laid over something else."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.types import Frame, FrameResult, ImageArray, LabelArray, ProbabilityArray
from covos.formats.light import drawn_out
from covos.masks import letterbox
from covos.masks.edges import relabelled
from covos.masks.foreground import Samples, foreground_colours
from covos.masks.matte import opacity_of

Scalar = TypeVar("Scalar", bound=np.generic)

_SEAM = 0.7
"""Width in pixels over which one object passes into another."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ComposedResult(FrameResult):
    """A result with what its formats share, each worked out when a format first asks for it and then kept.

    If several formats with alpha are written, the colours of the subject are most of the work of each.

    Attributes:
        inverted: If true, all but the subject is kept: opacity and colours are those of the rest of the picture.
    """

    inverted: bool = False

    @classmethod
    def of(cls, result: FrameResult) -> ComposedResult:
        """Return the result itself if it is one already."""
        if isinstance(result, cls):
            return result
        return cls(**{field.name: getattr(result, field.name) for field in fields(FrameResult)})

    @cached_property
    def inverse(self) -> ComposedResult:
        """All but the subject, a holdout: its opacity is 1 - a, its colours are the background's own."""
        return replace(self, inverted=not self.inverted)

    @property
    def plain(self) -> ComposedResult:
        """The result without its matte: its opacity is that of the probability; itself if it has none."""
        return self if self.matte is None else self._without_matte

    @cached_property
    def _without_matte(self) -> ComposedResult:
        return replace(self, matte=None)

    @property
    def unmapped(self) -> ComposedResult:
        """The result whose deep colours are HDR or BT.2020, as its source has them; itself if they are neither."""
        return self if self.frame.hdr is None else self._in_its_tones

    @cached_property
    def _in_its_tones(self) -> ComposedResult:
        return replace(self, frame=self.frame.unmapped)

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
            feather=self.feather,
            inverted=self.inverted,
        )

    @cached_property
    def opacity(self) -> ProbabilityArray:
        """Opacity of each pixel: H x W float32 in [0, 1]. Every soft format takes its alpha from here.

        If the input has alpha, nothing is more opaque than it was there.
        """
        if self.frame.alpha is None:
            return self._found
        return _shared(np.asarray(self._found * (self.frame.alpha / np.float32(255)), np.float32))

    @cached_property
    def _found(self) -> ProbabilityArray:
        """Opacity of the subject as it was found: its matte, or else that of the probability and its mask.

        It is 1 - a where all but the subject is kept.
        """
        if self.matte is not None:
            found = self.matte.copy()
        else:
            found = opacity_of(self.probability, self.labels, feather=self.feather)
        return _shared(np.subtract(1, found, out=found) if self.inverted else found)

    @cached_property
    def soft(self) -> ProbabilityArray:
        """The matte, or else the probability as computed, nothing made sure: H x W float32; inverted likewise."""
        found = self.probability if self.matte is None else self.matte
        return _shared(np.asarray(1 - found, np.float32)) if self.inverted else found

    @cached_property
    def alpha(self) -> NDArray[np.uint8]:
        """Opacity in whole numbers: H x W uint8; 255 is opaque."""
        return _shared(np.asarray(cv2.convertScaleAbs(self.opacity, alpha=255), np.uint8))

    @cached_property
    def colours(self) -> ImageArray:
        """Colours of the subject, also where the background shines through: H x W x 3 uint8 RGB.

        They are the source's own where a pixel is all subject or all background. In between they are the subject's part
        of the mix, so that a cut-out has no fringe of its old background. Every format with alpha, and every one that
        lays the subject over something else, takes its colours from here.
        """
        return self._unmixed(self.frame.colours)

    @cached_property
    def deep_colours(self) -> NDArray[np.uint16]:
        """The same with all bits that the input has: H x W x 3 uint16 of full range."""
        if self.frame.deep is None:
            return _shared(np.asarray(self.colours.astype(np.uint16) * 257, np.uint16))
        return self._unmixed(self.frame.deep())

    def _unmixed(self, image: NDArray[Samples]) -> NDArray[Samples]:
        mixed = (self._found > 0) & (self._found < 1)
        return _shared(foreground_colours(image, self._found)) if mixed.any() else image

    @cached_property
    def drawn_out(self) -> ImageArray:
        """Colours of the subject, drawn out over what is transparent: H x W x 3 uint8 RGB.

        An encoder that loses anything mixes neighbours: what lies beyond an edge must not be its old background.
        """
        return self._drawn_out(self.colours)

    @cached_property
    def deep_drawn_out(self) -> NDArray[np.uint16]:
        """The same with all bits that the input has: H x W x 3 uint16 of full range."""
        return self._drawn_out(self.deep_colours)

    def _drawn_out(self, colours: NDArray[Samples]) -> NDArray[Samples]:
        if self.opacity.min() > 0:
            return colours
        height, width = self.opacity.shape
        size = max(1, width // 4), max(1, height // 4)
        weighted = np.asarray(colours * self.opacity[..., None], np.float32)
        small, weight = (cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in (weighted, self.opacity))
        fill = drawn_out(np.asarray(small, np.float32), np.asarray(weight, np.float32))
        fill = np.asarray(cv2.resize(fill, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
        # A pixel with hardly anything of the subject does not show the subject's colour.
        told = np.clip(16 * self.opacity, 0, 1)
        filled, out = told < 1, colours.copy()
        share = told[filled][:, None]
        mixed = share * colours[filled] + (1 - share) * fill[filled]
        out[filled] = np.rint(mixed).clip(0, np.iinfo(colours.dtype).max)
        return _shared(out)

    def share_of(self, identity: int) -> ProbabilityArray:
        """Return the part of the opacity that is of one object: H x W float32. Those of all objects add up to it."""
        return np.asarray(self.opacity * _part_of(self._owners, identity), np.float32)

    def soft_of(self, identity: int) -> ProbabilityArray:
        """Return the part of `soft` that is of one object, likewise."""
        return np.asarray(self.soft * _part_of(self._soft_owners, identity), np.float32)

    def only(self, identity: int) -> ObjectResult:
        """Return one object by itself."""
        own = {field.name: getattr(self, field.name) for field in fields(FrameResult)}
        labels = np.where(self.labels == identity, self.labels, np.uint8(0))
        return ObjectResult(**{**own, "labels": labels}, whole=self, identity=identity)

    @cached_property
    def _owners(self) -> LabelArray:
        """The object that each pixel of the subject, also of its soft edge, belongs to."""
        return relabelled(self.labels, self.opacity > 0)

    @cached_property
    def _soft_owners(self) -> LabelArray:
        return relabelled(self.labels, self.soft > 0)

    @cached_property
    def rgba(self) -> NDArray[np.uint8]:
        """The subject with straight alpha, H x W x 4 uint8; the source's colours kept where nothing is seen of them."""
        rgba = np.asarray(cv2.cvtColor(self.colours, cv2.COLOR_RGB2RGBA), np.uint8)
        rgba[..., 3] = self.alpha
        return _shared(rgba)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ObjectResult(ComposedResult):
    """One object of a result by itself: its mask, its part of the opacity, and the colours of the whole subject.

    Attributes:
        whole: The result.
        identity: Id of the object.
    """

    whole: ComposedResult
    identity: int

    @property
    def unmapped(self) -> ObjectResult:
        """The object in the tones of its source, see `ComposedResult.unmapped`."""
        return self.whole.unmapped.only(self.identity)

    @cached_property
    def opacity(self) -> ProbabilityArray:
        """Its part of the opacity."""
        return _shared(self.whole.share_of(self.identity))

    @cached_property
    def soft(self) -> ProbabilityArray:
        """Its part of what was computed."""
        return _shared(self.whole.soft_of(self.identity))

    @property
    def colours(self) -> ImageArray:
        """Those of the whole subject: a pixel at the seam of two objects is of both."""
        return self.whole.colours

    @property
    def deep_colours(self) -> NDArray[np.uint16]:
        """Likewise."""
        return self.whole.deep_colours

    @property
    def drawn_out(self) -> ImageArray:
        """Likewise."""
        return self.whole.drawn_out

    @property
    def deep_drawn_out(self) -> NDArray[np.uint16]:
        """Likewise."""
        return self.whole.deep_drawn_out


def _part_of(owners: LabelArray, identity: int) -> ProbabilityArray:
    """Return how much of each pixel is of one of the objects that pixels belong to; it passes into others smoothly."""
    of_it, of_any = (
        cv2.GaussianBlur(each.astype(np.float32), (0, 0), _SEAM) for each in (owners == identity, owners > 0)
    )
    return np.asarray(of_it / np.maximum(of_any, 1e-6), np.float32)


def fitted(frame: Frame) -> Frame:
    """Fit a frame whose size is not that of its source into that size; the bars around it are transparent."""
    size = frame.source_size
    if size is None:
        return frame
    alpha = np.full(frame.size, 255, np.uint8) if frame.alpha is None else frame.alpha
    kept = frame.hdr
    return replace(
        frame,
        deep=None,
        coded=None,
        image=letterbox(frame.image, size, smooth=True),
        bare=letterbox(frame.colours, size, smooth=True),
        alpha=letterbox(alpha, size, smooth=True),
        # In ordinary tones, it would be shown by the tones that the file states.
        hdr=None if kept is None else lambda: letterbox(kept(), size, smooth=True),
        source_size=None,
    )


def deep_picture(frame: Frame) -> NDArray[np.uint16]:
    """Return a frame's picture with all bits that its input has, H x W x 3 uint16 RGB of full range.

    The picture of an input with alpha lies over grey, and has 8 bits.
    """
    if frame.deep is None or frame.alpha is not None:
        return np.asarray(frame.image.astype(np.uint16) * 257, np.uint16)
    return frame.deep()


def _shared(array: NDArray[Scalar]) -> NDArray[Scalar]:
    array.setflags(write=False)  # what one format changed, the next would show
    return array


def lay_over(result: FrameResult, background: NDArray[Samples]) -> NDArray[Samples]:
    """Lay the subject over another picture of the same size, mixed as players and browsers mix.

    Over one of uint16, the subject has all bits that its input has.
    """
    composed = ComposedResult.of(result)
    alpha = composed.opacity
    if background.dtype == np.uint8:
        return np.asarray(cv2.blendLinear(composed.colours, background, alpha, 1 - alpha), background.dtype)
    colours, behind = (each.astype(np.float32) for each in (composed.deep_colours, background))
    # Not by OpenCV's, which takes a hundred thousandth off: half a level of these.
    return np.asarray(np.rint(behind + alpha[..., None] * (colours - behind)), background.dtype)
