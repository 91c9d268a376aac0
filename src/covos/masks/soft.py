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

Depth = Literal[8, 16]
"""Bits of a probability that is kept."""

SURE = 2
"""Levels, of 255, by which a probability may miss 0 or 1 and still be taken for it. A network is never quite certain,
and so little noise over the whole frame would take several times the space of the edge itself."""
EDGE = 3 / 480
"""Width of the soft edge on each side of a contour that `soft_edge` draws, over the height of the frame: about that of
the masks that networks find."""


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


def soft_edge(mask: MaskArray) -> ProbabilityArray:
    """Give a mask an edge as soft as a network's, so that a frame that was drawn by hand is like its neighbours.

    The middle of what is thinner than the edge stays sure, so drawn strands and narrow gaps do not fade.

    Args:
        mask: H x W bool.

    Returns:
        H x W float32 in [0, 1]; above 1/2 in the mask, below it elsewhere.
    """
    if not mask.any() or mask.all():
        return mask.astype(np.float32)
    reach = max(EDGE * mask.shape[0], 1.0)
    return np.asarray(0.5 + 0.5 * (_depth(mask, reach) - _depth(~mask, reach)), np.float32)


def _depth(mask: MaskArray, reach: float) -> NDArray[np.float32]:
    """Return how deep each pixel lies in a mask, in [0, 1]; 1 from ``reach`` pixels on, or mid-way in a strand."""
    deep = cv2.distanceTransform(mask.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) - np.float32(0.5)
    deep = np.clip(deep, 0.0, reach)
    side = 2 * int(np.ceil(reach)) + 1
    # The mask's own pixels alone count: a deep one beyond a gap is no part of the strand.
    middle = cv2.dilate(deep, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    return np.where(mask, (deep + 0.25) / (np.maximum(middle, 0.0) + 0.25), np.float32(0)).astype(np.float32)


def rounded(probability: ProbabilityArray, mask: MaskArray, *, bits: Depth = 8) -> ProbabilityArray:
    """Return what `SoftMask.restore` gives of a probability, H x W float32, without packing it."""
    return _undone(_difference(probability, mask, bits), mask, bits)


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
