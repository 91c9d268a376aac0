"""From a decoded mask picture to object ids, whatever way the ids were stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from covos.errors import AnnotationError
from covos.masks.palette import colour_ids

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL import Image

    from covos.types import LabelArray

_MANY_COLOURS = 16
_LISTED = 4


def present_ids(labels: LabelArray) -> list[int]:
    """The ids that have a pixel, ascending, without the background's 0; with 255 where it is.

    Args:
        labels: H x W uint8, at least one pixel.
    """
    # OpenCV's counting is several times as fast as numpy's, which sorts, or sums bytes in eight.
    counts = cv2.calcHist([np.ascontiguousarray(labels)], [0], None, [256], [0, 256])
    return [int(identity) for identity in np.flatnonzero(counts) if identity]


def ids_of_picture(image: Image.Image, *, path: Path) -> LabelArray:
    """Object ids, by the picture's mode.

    ========== ==========================================================================
    mode       ids
    ========== ==========================================================================
    P          the palette index (colours are not looked at)
    L, LA      the grey value: a 0/255 mask gives the ids 0 and 255
    1          0 and 1
    I, I;16    the value, if none is above 255
    RGB, RGBA  the colour's index in the DAVIS palette; black and white alone give 0 and 255
    ========== ==========================================================================

    With alpha, fully transparent pixels are background.

    Raises:
        AnnotationError: Half-transparent pixels, a colour that is not in the palette, a value above 255, or a mode
            that holds no ids.
    """
    image, opaque = split_alpha(image)
    if opaque is not None and ((opaque != 0) & (opaque != 255)).any():
        raise interpolated(path, why="it has half-transparent pixels: it looks anti-aliased")
    if image.mode == "RGB":
        colours = np.asarray(image)
        if opaque is not None:
            colours = np.where(opaque[..., None] == 0, np.uint8(0), colours)
        labels = _ids_of_colours(colours, path=path)
    elif image.mode in {"P", "L", "1"}:
        labels = np.asarray(image).astype(np.uint8)
    elif image.mode.startswith("I"):
        labels = _ids_of_integers(np.asarray(image), path=path)
    else:
        raise AnnotationError(
            f"{path} holds no object ids",
            why=f"its picture mode is {image.mode}",
            fix="save the mask as a palette or grey PNG whose values are the object ids",
        )
    if opaque is not None:
        labels[opaque == 0] = 0
    return labels


def split_alpha(image: Image.Image) -> tuple[Image.Image, NDArray[np.uint8] | None]:
    """The picture without its alpha channel, and that channel (None where there is none or it is fully opaque)."""
    if image.mode not in {"LA", "RGBA"}:
        return image, None
    alpha = np.asarray(image.getchannel("A"))
    return image.convert("L" if image.mode == "LA" else "RGB"), None if alpha.min() == 255 else alpha


def interpolated(path: Path, *, why: str) -> AnnotationError:
    """The error for a mask whose contours were smoothed."""
    return AnnotationError(
        f"{path} is not a clean label map",
        why=why,
        fix="export it again without smoothing (nearest neighbour), one value an object",
    )


def _ids_of_integers(values: NDArray[np.integer[Any]], *, path: Path) -> LabelArray:
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 255:
        raise AnnotationError(
            f"{path} holds the value {low if low < 0 else high}",
            why="object ids are 0 to 254, and 255 for void",
            fix="save a 0/65535 mask with 8 bits; number objects from 1, and split a map of more than 254 into several",
        )
    return values.astype(np.uint8)


def _ids_of_colours(image: NDArray[np.uint8], *, path: Path) -> LabelArray:
    packed = image[..., 0].astype(np.int32) << 16 | image[..., 1].astype(np.int32) << 8 | image[..., 2]
    colours, inverse, counts = np.unique(packed, return_inverse=True, return_counts=True)
    known = {0: 0, 0xFFFFFF: 255} if set(colours.tolist()) <= {0, 0xFFFFFF} else colour_ids()
    foreign = [(int(count), int(colour)) for colour, count in zip(colours, counts, strict=True) if colour not in known]
    if foreign:
        raise _foreign_colours(foreign, path=path)
    ids = np.array([known[colour] for colour in colours.tolist()], np.uint8)
    labels: LabelArray = ids[inverse.reshape(packed.shape)]
    return labels


def _foreign_colours(foreign: list[tuple[int, int]], *, path: Path) -> AnnotationError:
    foreign.sort(reverse=True)
    listed = ", ".join(f"({c >> 16}, {c >> 8 & 255}, {c & 255}) x {n}" for n, c in foreign[:_LISTED])
    rest = f" and {len(foreign) - _LISTED} more" if len(foreign) > _LISTED else ""
    if len(foreign) > _MANY_COLOURS:
        return interpolated(
            path, why=f"{len(foreign)} colours are not of the DAVIS palette ({listed}{rest}): it looks interpolated"
        )
    return AnnotationError(
        f"{path} has colours that are not of the DAVIS palette",
        why=f"{listed}{rest}",
        fix="save a palette or grey PNG whose values are the object ids, or use the palette's colours",
    )
