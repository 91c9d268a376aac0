"""Draw label maps over pictures, and lay pictures out on a sheet, for people to look at."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.types import ImageArray, LabelArray
from covos.masks.object_ids import davis_palette

_OUTLINE_PER_DIAGONAL = 1 / 450
_DARK, _WHITE = 16, 255
_GAP = 6
_PAPER = 24
_INK = (235, 235, 235)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_overlay(image: ImageArray, labels: LabelArray, *, opacity: float = 0.5, outline: bool = True) -> ImageArray:
    """Tint each object with its palette colour and draw its outline; return a new H x W x 3 uint8 RGB array.

    The outline is a white line on the object's own rim, and a thinner dark line around it: one of the two shows against
    any picture. The image is H x W x 3 uint8 RGB, the opacity of the tint in [0, 1].
    """
    if image.shape[:2] != labels.shape:
        raise ValueError(f"the image is {image.shape[:2]}, the labels {labels.shape}")
    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity must be in [0, 1], not {opacity}")
    result = image.copy()
    # Work where the objects are: most frames are mostly background.
    window = drawn_window(labels)
    thickness = outline_thickness(labels.shape)
    draw_objects(result[window], labels[window], thickness=thickness, opacity=opacity, outline=outline)
    return result


def draw_objects(
    part: ImageArray, ids: LabelArray, *, thickness: int, opacity: float = 0.5, outline: bool = True
) -> None:
    """Draw what `draw_overlay` does into a window of a picture, which holds what `drawn_window` gives.

    Args:
        part: The window, h x w x 3 uint8 RGB; it is changed.
        ids: Its labels, h x w uint8.
        thickness: From `outline_thickness` of the whole picture.
        opacity: See `draw_overlay`, here and below.
        outline: As there.
    """
    if not ids.size:
        return
    inside = (ids != 0).view(np.uint8)
    # A look-up table of OpenCV's is several times as fast as numpy's indexing.
    tint = cv2.LUT(cv2.merge([ids, ids, ids]), davis_palette()[None])
    cv2.copyTo(cv2.addWeighted(tint, opacity, part, 1 - opacity, 0), inside, part)
    if outline:
        cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
        border = (cv2.erode(ids, cross) != cv2.dilate(ids, cross)).view(np.uint8)  # both sides of a change of id
        part[_thicken(border, (thickness + 1) // 2) > inside] = _DARK
        part[(_thicken(border, thickness) & inside).view(np.bool_)] = _WHITE


def drawn_window(labels: LabelArray) -> tuple[slice, slice]:
    """Return the rows and columns in which `draw_overlay` changes a picture; both are empty if nothing is drawn."""
    x, y, width, height = cv2.boundingRect((labels != 0).view(np.uint8))
    if not width:
        return slice(0, 0), slice(0, 0)
    margin, (rows, columns) = 2 * outline_thickness(labels.shape), labels.shape
    return (
        slice(max(y - margin, 0), min(y + height + margin, rows)),
        slice(max(x - margin, 0), min(x + width + margin, columns)),
    )


def outline_thickness(size: tuple[int, ...]) -> int:
    """Return the bright line's thickness in pixels for a picture of (height, width): 1 if small, up to 6 for 4K."""
    return max(1, round(math.hypot(*size) * _OUTLINE_PER_DIAGONAL))


def _thicken(border: NDArray[np.uint8], thickness: int) -> NDArray[np.uint8]:
    """Widen the border by ``thickness`` pixels to each side."""
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * thickness - 1, 2 * thickness - 1))
    return np.asarray(cv2.dilate(border, disk), np.uint8)


def contact_sheet(
    cells: Sequence[ImageArray], *, columns: int, cell_width: int, captions: Sequence[str] | None = None
) -> ImageArray:
    """Lay H x W x 3 uint8 RGB pictures out in rows, each scaled to one width with its own aspect ratio.

    ``captions`` are a line under each picture; letters outside ASCII are shown as ``?``, long lines are cut.
    """
    if not cells or columns < 1 or cell_width < 1:
        raise ValueError(f"{len(cells)} cells in {columns} columns of {cell_width} pixels make no sheet")
    if captions is not None and len(captions) != len(cells):
        raise ValueError(f"{len(captions)} captions for {len(cells)} cells")
    band = round(min(max(cell_width * 0.075, 14), 30))
    scaled = [_scale(cell, cell_width) for cell in cells]
    if captions is not None:
        named = zip(scaled, captions, strict=True)
        scaled = [np.concatenate((cell, _caption(caption, cell_width, band))) for cell, caption in named]
    rows = [scaled[start : start + columns] for start in range(0, len(scaled), columns)]
    heights = [max(len(cell) for cell in row) for row in rows]
    width = min(columns, len(scaled)) * (cell_width + _GAP) + _GAP
    sheet = np.full((sum(heights) + _GAP * (len(rows) + 1), width, 3), _PAPER, np.uint8)
    top = _GAP
    for row, height in zip(rows, heights, strict=True):
        for left, cell in zip(range(_GAP, width, cell_width + _GAP), row, strict=False):
            sheet[top : top + len(cell), left : left + cell_width] = cell
        top += height + _GAP
    return sheet


def _scale(cell: ImageArray, width: int) -> ImageArray:
    height = max(1, round(cell.shape[0] * width / cell.shape[1]))
    smaller = width < cell.shape[1]
    scaled = cv2.resize(cell, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
    return scaled.astype(np.uint8)


def _caption(text: str, width: int, height: int) -> ImageArray:
    text = text.encode("ascii", "replace").decode("ascii")
    scale = cv2.getFontScaleFromHeight(_FONT, round(height * 0.45))
    while text and cv2.getTextSize(text, _FONT, scale, 1)[0][0] > width:
        text = text.removesuffix("..")[:-1] + ".." if len(text) > 3 else text[:-1]
    band = np.full((height, width, 3), _PAPER, np.uint8)
    cv2.putText(band, text, (1, round(height * 0.7)), _FONT, scale, _INK, 1, cv2.LINE_AA)
    return band
