"""The augmentations of covos's own trainings, for other trainings.

`Window`, `Light` and `Spoil` are those of covos-lite; `Resample`, `Cut` and `Mirror`, in this order, those of COSNet.
Each is called with a picture, its mask and a generator, and is a ``transform`` of the torch data sets of `covos.data`:

    >>> from covos import data
    >>> from covos.training import augment
    >>> davis = data.open_dataset("DAVIS", subset="train")
    >>> drawn = augment.Chain(augment.Window(size=(256, 448)), augment.Light(), augment.Spoil(share=0.1))
    >>> pairs = data.PairDataset(davis, transform=drawn)

Pictures are H x W x 3 uint8 RGB; masks are H x W, uint8 ids or float32 shares, 255 = void.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from covos.core.errors import UsageError
from covos.core.types import ImageArray
from covos.data.base import checked_size
from covos.masks import VOID
from covos.training.scenes.light import recolour, spoil
from covos.training.scenes.samples import draw_framing, draw_window
from covos.training.scenes.windows import seen_through

Mask: TypeAlias = NDArray[np.uint8] | NDArray[np.float32]


class Augmentation(Protocol):
    """Changes a picture and its mask together."""

    def __call__(self, *, image: ImageArray, mask: Mask, rng: Generator) -> tuple[ImageArray, Mask]:
        """Return both as they are after the change; the same state of the generator gives the same change."""


class Chain:
    """Several augmentations, one after the other."""

    def __init__(self, *parts: Augmentation) -> None:
        self.parts = parts

    def __call__(self, *, image: ImageArray, mask: Mask, rng: Generator) -> tuple[ImageArray, Mask]:
        """Return what the last one returns."""
        for part in self.parts:
            image, mask = part(image=image, mask=mask, rng=rng)
        return image, mask


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Show the frame through a window of one size: cut, scaled, stretched, turned by up to 10 degrees, and mirrored.

    Beyond the border of the frame lies its reflection, in the mask too, so that no border gives the subject away.

    Attributes:
        size: (height, width) of what comes out.
        zoom: Range of the window's width over that of the largest window that fits.
    """

    size: tuple[int, int]
    zoom: tuple[float, float] = (0.6, 1.0)

    def __post_init__(self) -> None:
        checked_size(self.size)
        least, most = self.zoom
        if not 0 < least <= most:
            raise UsageError(
                f"zoom={self.zoom!r} is no range",
                why="it goes from a share above 0 of the frame's width to one that is not smaller",
                fix="write it so: zoom=(0.6, 1.0)",
            )

    def __call__(self, *, image: ImageArray, mask: Mask, rng: Generator) -> tuple[ImageArray, Mask]:
        """Return both as they are seen through a window that is drawn."""
        framing = draw_framing(rng, zoom=self.zoom)
        window = draw_window(image.shape, framing=framing, size=self.size, rng=rng)
        seen = seen_through(image, window, size=self.size)
        if mask.dtype == np.uint8:  # ids are never mixed
            flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
            labels = cv2.warpAffine(mask, window, self.size[::-1], flags=flags, borderMode=cv2.BORDER_REFLECT_101)
            return seen, np.asarray(labels, np.uint8)
        valid = (mask != VOID).astype(np.float32)
        share = seen_through(valid, window, size=self.size)
        subject = seen_through(np.where(mask == VOID, 0, mask).astype(np.float32), window, size=self.size)
        # A pixel that is partly void takes the share of the subject in its valid part.
        known = np.minimum(np.divide(subject, share, out=np.zeros_like(share), where=share > 0.5), 1)
        return seen, np.where(share > 0.5, known, np.float32(VOID))


@dataclass(frozen=True, slots=True)
class Light:
    """Change brightness, contrast, saturation and tint; now and then blur, make grey or leave JPEG blocks."""

    def __call__(self, *, image: ImageArray, mask: Mask, rng: Generator) -> tuple[ImageArray, Mask]:
        """Return the picture in another light, the mask as it is."""
        return recolour(image, rng=rng), mask


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoil:
    """Spoil a share of the pictures: out of focus, blurred by motion, coarse, dark or noisy.

    Attributes:
        share: Of the pictures, in [0, 1].
    """

    share: float = 0.1

    def __post_init__(self) -> None:
        _check_share(self.share)

    def __call__(self, *, image: ImageArray, mask: Mask, rng: Generator) -> tuple[ImageArray, Mask]:
        """Return the picture, spoiled now and then, and the mask as it is."""
        return (spoil(image, rng=rng) if rng.random() < self.share else image), mask


@dataclass(frozen=True, slots=True, kw_only=True)
class Resample:
    """Reduce or enlarge the picture and bring it back to its size: it shows the same, less or more sharply.

    Attributes:
        factor: Range of the factor, (least, most).
    """

    factor: tuple[float, float] = (0.7, 1.3)

    def __post_init__(self) -> None:
        least, most = self.factor
        if not 0 < least <= most:
            raise UsageError(
                f"factor={self.factor!r} is no range",
                why="it goes from a number above 0 to one that is not smaller",
                fix="write it so: factor=(0.7, 1.3)",
            )

    def __call__(self, *, image: ImageArray, mask: Mask, rng: Generator) -> tuple[ImageArray, Mask]:
        """Return the picture, resampled, and the mask as it is."""
        return resampled(image, size=image.shape[:2], factor=float(rng.uniform(*self.factor))), mask


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Cut a part of one size out of the frame, at a random place.

    Attributes:
        size: (height, width) of what comes out; a frame must be at least as large.
    """

    size: tuple[int, int]

    def __post_init__(self) -> None:
        checked_size(self.size)

    def __call__(self, *, image: ImageArray, mask: Mask, rng: Generator) -> tuple[ImageArray, Mask]:
        """Return the part of both."""
        if any(whole < part for whole, part in zip(image.shape, self.size, strict=False)):
            raise UsageError(
                f"a frame of {image.shape[0]} x {image.shape[1]} has no part of {self.size[0]} x {self.size[1]}",
                why="(height, width) of the part must fit into the frame",
                fix="read the frames at a larger size (size= of the data set), or cut smaller parts",
            )
        part = draw_cut(image.shape[:2], self.size, rng=rng)
        return image[part], mask[part]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """Mirror a share of the frames, left to right.

    Attributes:
        share: Of the frames, in [0, 1].
    """

    share: float = 0.5

    def __post_init__(self) -> None:
        _check_share(self.share)

    def __call__(self, *, image: ImageArray, mask: Mask, rng: Generator) -> tuple[ImageArray, Mask]:
        """Return both, mirrored or not."""
        return (image[:, ::-1], mask[:, ::-1]) if rng.random() < self.share else (image, mask)


def draw_cut(whole: tuple[int, int], part: tuple[int, int], *, rng: Generator) -> tuple[slice, slice]:
    """Draw the rows and columns of a part of (height, width) out of a whole that is at least as large."""
    top, left = (int(rng.integers(all_ - some + 1)) for all_, some in zip(whole, part, strict=True))
    return slice(top, top + part[0]), slice(left, left + part[1])


def resampled(image: ImageArray, *, size: tuple[int, int], factor: float) -> ImageArray:
    """Return an H x W x 3 uint8 picture at a size, (height, width); a factor says how large it is on the way there."""
    between = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
    shrinks = between.shape[0] >= size[0] and between.shape[1] >= size[1]
    resized = cv2.resize(between, size[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return resized.astype(np.uint8)


def stretched(image: ImageArray) -> ImageArray:
    """Return an H x W x 3 uint8 picture, its values stretched so that the least is 0 and the greatest 255."""
    least, most = int(image.min()), int(image.max())
    if least == most:
        return image
    values = (image.astype(np.float32) - least) * np.float32(255 / (most - least))
    found: ImageArray = np.rint(values).astype(np.uint8)
    return found


def _check_share(share: float) -> None:
    if not 0 <= share <= 1:
        raise UsageError(f"share={share} is no share", why="it lies in [0, 1]", fix="0.1 is one in ten")
