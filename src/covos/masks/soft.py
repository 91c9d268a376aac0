"""The soft answer of a frame, compressed: the probability wherever a mask alone does not give it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any, Literal, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.errors import InputError
from covos.core.shown import short_repr
from covos.core.types import MaskArray, ProbabilityArray
from covos.masks.distance import distance_to

Depth = Literal[8, 16]
"""Bits of a probability that is kept."""

SURE = 2
"""Levels, of 255, by which a probability may miss 0 or 1 and still be taken for it. A network is never quite certain,
and so little noise over the whole frame would take several times the space of the edge itself."""
EDGE = 0.8 / 480
"""Standard deviation of the soft edge that `soft_edge` draws, over the height of the frame: with it, the edge is about
as wide as those of objects that a network follows."""
LEAST_EDGE = 0.65
"""Standard deviation in pixels in small frames, where the edges of networks are no narrower either."""
SMOOTH = 1.8
"""Standard deviation in pixels of the blur, at the least, that tells where a contour runs. A slanted contour is a
staircase in a mask: with less its steps are seen, with more its corners are round."""
REACH = 3
"""So many standard deviations from the contour a soft edge ends."""
SKIRT = 3 / 480
"""Distance from a contour, over the height of the frame, up to which networks mostly doubt the edge."""
FEWEST = 16
"""Pixels that are partly transparent, at the least, that tell of how many bits they are."""
_SAME_LEVEL = 1e-3
_SURE_SIDE = 0.01
"""The two sides of the contour keep this far from 1/2: rounded to 8 bits, they still tell which side they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftMask:
    """The probability of a frame's pixels, as its difference from the frame's mask.

    Far from the edges the difference is 0. So only a band around the contours is kept, and all places where the network
    was not sure.

    Attributes:
        size: (height, width) in pixels.
        bits: 8, or 16 for those who asked for so many: these are kept as they are.
        data: The differences, packed.
    """

    size: tuple[int, int]
    bits: Depth
    data: bytes

    __repr__ = short_repr

    @classmethod
    def of(cls, probability: ProbabilityArray, mask: MaskArray, *, bits: Depth = 8) -> Self:
        """Keep a probability.

        Args:
            probability: H x W float32 in [0, 1].
            mask: H x W bool: the pixels of all objects together.
            bits: Precision.
        """
        return cls.and_rounded(probability, mask, bits=bits)[0]

    @classmethod
    def and_rounded(
        cls, probability: ProbabilityArray, mask: MaskArray, *, bits: Depth = 8
    ) -> tuple[Self, ProbabilityArray]:
        """Keep a probability, as `of` does; and return what `restore` will give, H x W float32, without unpacking."""
        difference = _difference(probability, mask, bits)
        restored = _undone(difference, mask, bits)
        # Each row as its difference from the one above: edges are smooth, and most rows are like their neighbours.
        difference[1:] -= difference[:-1].copy()
        # Runs alone: to look for repeats takes longer and finds few.
        packer = zlib.compressobj(1, strategy=zlib.Z_RLE)
        height, width = mask.shape
        data = packer.compress(difference.data) + packer.flush()
        return cls(size=(height, width), bits=bits, data=data), restored

    def restore(self, mask: MaskArray) -> ProbabilityArray:
        """Return the probability, H x W float32 in [0, 1], rounded to the levels that were kept.

        Args:
            mask: The mask that it was kept beside.

        Raises:
            InputError: The data are damaged, or of another size.
        """
        expected = self.size[0] * self.size[1] * self.bits // 8
        if mask.shape != self.size:
            raise _damaged(f"it is of {self.size[1]} x {self.size[0]} pixels, the mask is {mask.shape[::-1]}")
        unpack = zlib.decompressobj()
        try:
            # Never more than the frame has: a few bytes may stand for gigabytes.
            plain = unpack.decompress(self.data, expected + 1)
        except zlib.error as error:
            raise _damaged(str(error)) from error
        if len(plain) != expected:
            raise _damaged(f"{expected} bytes are expected, there are {len(plain)}" + " or more" * (not unpack.eof))
        depth = np.uint16 if self.bits == 16 else np.uint8
        difference = np.add.accumulate(np.frombuffer(plain, depth).reshape(self.size), axis=0, dtype=depth)
        return _undone(difference, mask, self.bits)

    def cut_to(self, size: tuple[int, int], mask: MaskArray) -> Self:
        """Return the upper left part of this (height, width); ``mask`` is that of the whole, as of `restore`."""
        height, width = size
        return self.of(self.restore(mask)[:height, :width], mask[:height, :width], bits=self.bits)


def is_of_8_bits(probability: ProbabilityArray) -> bool:
    """Tell if a probability, H x W float32 in [0, 1], was rounded to 8 bits: if all of a soft edge has such levels."""
    soft = probability[(probability > 0) & (probability < 1)] * 255
    return len(soft) >= FEWEST and bool((np.abs(soft - np.rint(soft)) < _SAME_LEVEL).all())


def edge_deviation(height: int) -> float:
    """Return the standard deviation in pixels of the edges that `soft_edge` draws in frames of a height in pixels."""
    return max(EDGE * height, LEAST_EDGE)


def soft_edge(mask: MaskArray) -> ProbabilityArray:
    """Give a mask an edge as soft as a network's, so that a frame that was drawn by hand is like its neighbours.

    It rises smoothly across the contour, and a slanted one has no steps. The middle of what is thinner than the edge
    stays sure, so drawn strands and narrow gaps do not fade.

    Args:
        mask: H x W bool.

    Returns:
        H x W float32 in [0, 1]; above 1/2 in the mask, below it elsewhere.
    """
    if not mask.any() or mask.all():
        return mask.astype(np.float32)
    deviation = edge_deviation(mask.shape[0])
    soft = _across(mask, deviation)
    inside = np.maximum(np.maximum(soft, _in_strands(mask, deviation)), 0.5 + _SURE_SIDE)
    outside = np.minimum(np.minimum(soft, 1 - _in_strands(~mask, deviation)), 0.5 - _SURE_SIDE)
    return np.where(mask, inside, outside).astype(np.float32)


def _across(mask: MaskArray, deviation: float) -> NDArray[np.float32]:
    """Return a probability that rises across a contour, about as a Gaussian's of such a deviation: H x W float32."""
    wide = max(deviation, SMOOTH)
    side = 2 * int(np.ceil(REACH * wide)) + 1
    # Beyond the border of the frame both sides go on as they are there.
    soft = cv2.GaussianBlur(mask.astype(np.float32), (side, side), wide, borderType=cv2.BORDER_REPLICATE)
    soft = np.clip(soft, 0, 1)
    if wide > deviation:
        # The odds to a power are as the odds of a narrower edge.
        inner, outer = soft ** (wide / deviation), (1 - soft) ** (wide / deviation)
        soft = inner / (inner + outer)
    return np.asarray(soft, np.float32)


def _in_strands(mask: MaskArray, deviation: float) -> NDArray[np.float32]:
    """Return the probability of what is thinner than the edge, 1 in the middle of a strand; 0 elsewhere: H x W."""
    # A strand is what a disc does not fit into. A blur would leave less than 0.9 of its middle.
    radius = int(np.ceil(1.65 * deviation))
    depth = distance_to(~mask)
    thin = mask & (distance_to(depth > radius) > radius)
    _, parts, facts, _ = cv2.connectedComponentsWithStats(thin.view(np.uint8), connectivity=8)
    # A disc does not fit into a corner either, nor into the steps of a rough contour: they are no strands.
    strands = thin & (facts[:, cv2.CC_STAT_AREA] > 2 * radius**2)[parts]
    if not strands.any():
        return np.zeros(mask.shape, np.float32)
    depth = np.where(strands, depth - np.float32(0.25), np.float32(0))
    # The strand's own pixels alone count: what it grows out of is no part of it.
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    middle = np.maximum(cv2.dilate(depth, disc), np.float32(0.25))
    return np.where(strands, 0.5 + 0.5 * depth / middle, np.float32(0)).astype(np.float32)


def rounded(probability: ProbabilityArray, mask: MaskArray) -> ProbabilityArray:
    """Return what `SoftMask.restore` gives of a probability at 8 bits, H x W float32, without packing it."""
    return _undone(_difference(probability, mask, 8), mask, 8)


def _difference(probability: ProbabilityArray, mask: MaskArray, bits: Depth) -> NDArray[Any]:
    hard = _hard(mask, bits)
    if bits == 16:
        return np.asarray(np.rint(probability * np.float32(65535)).astype(np.uint16) ^ hard)
    levels = cv2.convertScaleAbs(probability, alpha=255)  # saturates and rounds in one pass
    _, unsure = cv2.threshold(cv2.absdiff(levels, hard), SURE, 255, cv2.THRESH_BINARY)
    return np.asarray(cv2.bitwise_and(cv2.bitwise_xor(levels, hard), unsure))


def _undone(difference: NDArray[Any], mask: MaskArray, bits: Depth) -> ProbabilityArray:
    levels = difference ^ _hard(mask, bits)
    return np.asarray(levels * np.float32(1 / (65535 if bits == 16 else 255)), np.float32)


def _hard(mask: MaskArray, bits: Depth) -> NDArray[Any]:
    return mask.astype(np.uint16) * np.uint16(65535) if bits == 16 else mask.astype(np.uint8) * np.uint8(255)


def _damaged(why: str) -> InputError:
    return InputError("the soft edge of a mask cannot be read", why=why, fix="make the masks anew")
