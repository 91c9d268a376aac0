"""One picture as it is displayed, and its alpha."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from covos.core.types import AlphaArray, Frame, ImageArray

ALPHA_NOTE = (
    "the input has alpha: it is looked at over grey, and cut-outs keep its alpha; alpha as a mask shows what is opaque "
    "as the object"
)
BACKDROP = 128
"""Grey that shows through a transparent picture: neither a dark nor a light subject vanishes before it."""


def is_alpha_used(pixels: NDArray[Any]) -> bool:
    """Return False if H x W x 4 pixels show something, and their alpha is zero all over.

    Programs that record or write 32 bits a pixel leave the fourth byte at zero. A frame of which nothing is to be seen
    is of one colour.
    """
    if pixels.shape[2] == 3:
        return False
    colours = pixels[..., :3]
    return bool(pixels[..., 3].any()) or bool((colours == colours[0, 0]).all())


def picture_at(frame: Frame, size: tuple[int, int]) -> ImageArray:
    """Return a frame's picture at (height, width): made of the coded samples where that makes it smaller."""
    later, (height, width) = frame.later, frame.size
    if later is not None and size[0] <= height and size[1] <= width:
        return later.make(size)
    return reduced(frame.image, size)


def reduced(image: ImageArray, size: tuple[int, int]) -> ImageArray:
    """Resize a picture to (height, width), by the mean of areas where that makes it narrower."""
    if image.shape[:2] == size:
        return image
    # Anything but area averaging aliases when it shrinks, and aliasing flickers from frame to frame.
    way = cv2.INTER_AREA if image.shape[1] > size[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size[::-1], interpolation=way), np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picture:
    """A picture as networks see it, with what an input with alpha has beside; see `covos.core.types.Frame`."""

    image: ImageArray
    alpha: AlphaArray | None = None
    bare: ImageArray | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return int(self.image.shape[0]), int(self.image.shape[1])


def as_picture(pixels: NDArray[Any], *, uses_alpha: bool = True) -> Picture:
    """Make a picture of H x W x 3 uint8 RGB, or of H x W x 4 RGBA with straight alpha, laid over `BACKDROP`.

    If ``uses_alpha`` is false, the fourth channel is left out.
    """
    if pixels.shape[2] == 3:
        return Picture(image=pixels)
    bare, alpha = np.ascontiguousarray(pixels[..., :3]), np.ascontiguousarray(pixels[..., 3])
    if not uses_alpha or alpha.min(initial=255) == 255:
        return Picture(image=bare)
    share = alpha.astype(np.float32) / 255
    laid = np.asarray(cv2.blendLinear(bare, np.full_like(bare, BACKDROP), share, 1 - share), np.uint8)
    return Picture(image=laid, alpha=alpha, bare=bare)
