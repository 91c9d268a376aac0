"""Read the masks that a user shows: brushes are anti-aliased, and a matte or a cut-out is soft.

Masks of data sets and of evaluation are read strictly (`covos.masks.label_files`): there a smoothed contour is a
mistake in the data. Somebody who paints one object means what is more than half covered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from covos.core.errors import AnnotationError
from covos.masks.label_files import fit_labels, open_mask, read_label_map
from covos.masks.matte import SURE
from covos.masks.object_ids import VOID, objects_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from PIL import Image

    from covos.core.places import Place
    from covos.core.types import LabelArray, MaskArray

HALF = 128
"""Grey or alpha, of 255, from which a pixel is of the object."""

_SURE = round(VOID * SURE)
# Of the pixels between black and white:
_ALONE = 0.1  # the share that may be in blocks whose value has no neighbours
_PLATEAU = 0.06  # the share that one plateau may have
_SOLID = 0.95
_FEW_COLOURS = 16
_MOST = 0.9
_A_COLOUR = 0.01


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShownMap:
    """A label map that a user shows.

    Attributes:
        labels: H x W uint8 ids; 0 and 255 alone are one object without an id.
        note: Says that soft edges were cut, and where; "" if there were none.
    """

    labels: LabelArray
    note: str = ""


def read_shown_map(path: Place) -> ShownMap:
    """Read a mask that a user shows: as `read_label_map` does, or else one object with soft edges, cut at half.

    Soft is a grey picture of 8 or 16 bits, or of floating-point numbers from 0 to 1, that is black and white but for
    slopes in between; or a picture with alpha whose colours do not name several objects: a cut-out. A pixel is of the
    object from 128 of 255 on. Greys of more than 8 bits that are black and white alone are one object as well.

    Raises:
        AnnotationError: The file cannot be read, or is neither.
    """
    try:
        return ShownMap(labels=read_label_map(path))
    except AnnotationError:
        cut = _cut(open_mask(path))
        if cut is None:
            raise
    mask, why = cut
    note = f"{path}: {why}; the object is taken from {HALF} of 255 on" if why else ""
    return ShownMap(labels=mask.astype(np.uint8) * np.uint8(VOID), note=note)


def read_objects(
    path: Place,
    *,
    size: tuple[int, int],
    resize: bool = False,
    own_size: Callable[[], tuple[int, int]] | None = None,
) -> tuple[dict[int, MaskArray], str]:
    """Read the mask of each object that a file shows, as `objects_in` gives them, at a (height, width).

    See `fit_labels` for the size, and `read_shown_map` for the note beside the masks.
    """
    shown = read_shown_map(path)
    labels = shown.labels
    objects = objects_in(fit_labels(labels, size=size, path=path, resize=resize, own_size=own_size))
    if objects:
        return objects, shown.note
    raise AnnotationError(
        f"{path} shows no object",
        why="its objects are too small to be left after resizing" if labels.any() else "every pixel is background",
        fix="export it at the frame's size" if labels.any() else "give a mask with an object in it, or leave it out",
    )


def _cut(image: Image.Image) -> tuple[MaskArray, str] | None:
    """Return the mask of one object, and what was soft of it; None if the picture shows something else."""
    if image.mode == "F" or image.mode.startswith("I"):
        deep = _in_8_bits(image)
        if deep is None or not _is_soft(deep):
            return None
        return deep >= HALF, "its edge is soft" if ((deep > 0) & (deep < VOID)).any() else ""
    if image.format in {"JPEG", "MPO"} or (image.mode not in {"1", "L", "LA", "P", "RGB", "RGBA"}):
        return None
    pixels = np.asarray(image.convert("RGBA"))
    colours, alpha = pixels[..., :3], pixels[..., 3]
    if alpha.min() < VOID:
        solid = alpha > _SOLID * alpha.max()  # at the edge, premultiplied colours are darker
        return None if _of_several(colours[solid]) else (alpha >= HALF, "its alpha is the mask")
    if (colours != colours[..., :1]).any():
        return None
    grey = colours[..., 0]
    return (grey >= HALF, "its edge is soft") if _is_soft(grey) else None


def _in_8_bits(image: Image.Image) -> NDArray[np.uint8] | None:
    """Return the levels of a grey picture of more bits, H x W; None if they are not those of a mask."""
    values, white = np.asarray(image), 1 if image.mode == "F" else 65535
    if not (values.min() >= 0 and values.max() <= white):  # NaN is none either
        return None
    return np.rint(values * np.float64(VOID / white)).astype(np.uint8)


def _is_soft(grey: NDArray[np.uint8]) -> bool:
    """Tell if most values are nearly black or white, and the others form slopes and no plateaus.

    An object of a label map is a plateau: blocks of its id, and few of the ids next to it. A doubtful place of a matte
    is flat as well, but each of its values lies beside the next.
    """
    between = (grey > 0) & (grey <= VOID - _SURE)  # the inside of a dim matte is flat, and nearly white
    unsure = np.count_nonzero((grey >= _SURE) & (grey <= VOID - _SURE))
    if grey.min() >= _SURE or grey.max() < HALF or 2 * unsure > grey.size:
        return False
    window = np.ones((3, 3), np.uint8)
    edge = cv2.dilate(grey, window) != cv2.erode(grey, window)
    in_a_block = cv2.dilate((~edge).view(np.uint8), window) > 0
    flat = np.where(between & in_a_block, grey, np.uint8(0))
    counts, all_between = np.bincount(flat.ravel(), minlength=VOID + 1), np.count_nonzero(between)
    counts[0] = 0
    beside = np.concatenate(([0], counts[:-1])) + np.concatenate((counts[1:], [0]))
    if np.maximum(counts - beside, 0).sum() > _ALONE * all_between:
        return False
    # Ids in a row, as 1, 2 and 3 are, hide one another there. But each is in one piece, and a slope is made of strips.
    return not any(
        cv2.connectedComponentsWithStats((flat == value).view(np.uint8), connectivity=4)[2][1:, cv2.CC_STAT_AREA].max()
        > _PLATEAU * all_between
        for value in np.flatnonzero(counts > _PLATEAU * all_between)
    )


def _of_several(colours: NDArray[np.uint8]) -> bool:
    """Tell if a few colours fill nearly all of N x 3 pixels, as those of several objects do; photos have many."""
    packed = colours[:, 0].astype(np.int32) << 16 | colours[:, 1].astype(np.int32) << 8 | colours[:, 2]
    counts = np.sort(np.unique(packed, return_counts=True)[1])[::-1][:_FEW_COLOURS]
    several = np.count_nonzero(counts >= _A_COLOUR * len(packed)) > 1
    return bool(several and counts.sum() >= _MOST * len(packed))
