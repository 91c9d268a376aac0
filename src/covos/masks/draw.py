"""Draw label maps over pictures, and lay pictures out on a sheet, for people to look at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.errors import UsageError
from covos.core.types import ImageArray, LabelArray, Planes
from covos.masks.label_files import check_labels
from covos.masks.matte import check_image
from covos.masks.object_ids import davis_palette

_OUTLINE_PER_DIAGONAL = 1 / 450
_DARK, _WHITE, _GREY = 16, 255, 128
_SHARES = {1: (0.2126, 0.0722), 4: (0.3, 0.11), 5: (0.299, 0.114), 6: (0.299, 0.114), 7: (0.212, 0.087)}
_SHARES[9] = (0.2627, 0.0593)
_FURTHER = ((255, 128, 0), (0, 200, 255), (255, 110, 190), (150, 255, 60), (120, 110, 255))
_GAP = 6
_PAPER = 24
_INK = (235, 235, 235)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


@cache
def overlay_palette() -> NDArray[np.uint8]:
    """Return the colours of objects in overlays, 256 x 3 uint8 RGB, by id: twelve that are told apart.

    They are DAVIS's but for objects 8 to 12, whose official colours look like those of earlier ones under a tint.
    Palette PNGs have the official ones throughout.
    """
    palette = davis_palette().copy()
    palette[8:13] = _FURTHER
    palette.flags.writeable = False
    return palette


def draw_overlay(image: ImageArray, labels: LabelArray, *, opacity: float = 0.5, outline: bool = True) -> ImageArray:
    """Tint each object with its colour of `overlay_palette` and outline it; return a new H x W x 3 uint8 RGB array.

    The outline is a white line on the object's own rim, and a thinner dark line around it: one of the two shows against
    any picture. The image is H x W x 3 uint8 RGB, the opacity of the tint in [0, 1]. Other values are a UsageError.
    """
    if image.shape[:2] != labels.shape:
        raise UsageError(
            f"the image is {image.shape[:2]}, the labels {labels.shape}",
            why="both are of one frame",
            fix="give them one height and width",
        )
    if not 0 <= opacity <= 1:
        raise UsageError(
            f"opacity must be in [0, 1], not {opacity}", why="it is the share of the tint", fix="give 0.5, say"
        )
    check_image(image)
    check_labels(labels)
    result = image.copy()
    # Work where the objects are: most frames are mostly background.
    window = drawn_window(labels)
    part, ids = result[window], labels[window]
    if not ids.size:
        return result
    inside = _inside(ids)
    # A look-up table of OpenCV's, and its copies by a mask, are several times as fast as numpy's indexing.
    tint = cv2.LUT(cv2.merge([ids, ids, ids]), overlay_palette()[None])
    cv2.copyTo(cv2.addWeighted(tint, opacity, part, 1 - opacity, 0), inside, part)
    if outline:
        dark, white = _rims(ids, inside, thickness=outline_thickness(labels.shape))
        cv2.copyTo(np.full_like(part, _DARK), dark, part)
        cv2.copyTo(np.full_like(part, _WHITE), white, part)
    return result


def draw_on_planes(planes: Planes, labels: LabelArray, *, opacity: float = 0.5) -> None:
    """Draw what `draw_overlay` does on the planes of a coded picture, which are changed: a fifth of its time.

    Chroma has half the height and width, and each of its samples is the mean of those that four pixels would have.
    """
    rows, columns = (slice(side.start // 2 * 2, -(-side.stop // 2) * 2) for side in drawn_window(labels))
    ids = labels[rows, columns]
    if not ids.size:
        return
    palette, dark_luma, white_luma = _coded_colours(planes.matrix)
    inside = _inside(ids)
    dark, white = _rims(ids, inside, thickness=outline_thickness(labels.shape))
    luma = planes.luma[rows, columns]
    cv2.copyTo(cv2.addWeighted(cv2.LUT(ids, palette[0]), opacity, luma, 1 - opacity, 0), inside, luma)
    cv2.copyTo(np.full_like(luma, dark_luma), dark, luma)
    cv2.copyTo(np.full_like(luma, white_luma), white, luma)
    # The weight of a drawn sample, of 255; and its colour times that weight.
    share = round(255 * opacity)
    drawn = inside & np.uint8(share)
    rims = cv2.bitwise_or(dark, white)
    cv2.copyTo(rims, rims, drawn)
    half = ids.shape[1] // 2, ids.shape[0] // 2
    left = 255 - cv2.resize(drawn, half, interpolation=cv2.INTER_AREA)
    grey = np.full_like(ids, _GREY)
    for plane, colours in ((planes.blue, palette[1]), (planes.red, palette[2])):
        weighted = np.rint(colours * (share / 255)).astype(np.uint8)
        weighted[0] = 0
        added = cv2.LUT(ids, weighted)
        cv2.copyTo(grey, rims, added)
        window = plane[rows.start // 2 : rows.stop // 2, columns.start // 2 : columns.stop // 2]
        kept = cv2.multiply(window, left, scale=1 / 255)
        window[:] = cv2.add(kept, cv2.resize(added, half, interpolation=cv2.INTER_AREA))


@cache
def _coded_colours(matrix: int) -> tuple[NDArray[np.uint8], int, int]:
    """Return the palette as YUV of limited range, 3 x 256 uint8; and the luma of the dark and of the bright line.

    The matrix is that of `covos.core.types.Colour`: its shares of red and blue are those of ITU-T H.273, table 4.
    """
    of_red, of_blue = _SHARES.get(matrix, _SHARES[6])
    red, green, blue = overlay_palette().astype(np.float64).T / 255
    luma = of_red * red + (1 - of_red - of_blue) * green + of_blue * blue
    differences = (blue - luma) / (2 - 2 * of_blue), (red - luma) / (2 - 2 * of_red)
    coded = np.stack([16 + 219 * luma, *(_GREY + 224 * each for each in differences)])
    return np.rint(coded).astype(np.uint8), round(16 + 219 * _DARK / 255), round(16 + 219 * _WHITE / 255)


def _inside(ids: LabelArray) -> NDArray[np.uint8]:
    """Return where objects are, h x w, 0 or 255."""
    return np.asarray(cv2.threshold(ids, 0, 255, cv2.THRESH_BINARY)[1], np.uint8)


def _rims(ids: LabelArray, inside: NDArray[np.uint8], *, thickness: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return where the dark and the bright line lie, h x w, 0 or 255, around and on objects, and between them."""
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    # Both sides of a change of id.
    border = np.asarray(cv2.compare(cv2.erode(ids, cross), cv2.dilate(ids, cross), cv2.CMP_NE), np.uint8)
    dark = cv2.subtract(_thicken(border, (thickness + 1) // 2), inside)
    white = cv2.bitwise_and(_thicken(border, thickness), inside)
    return np.asarray(dark, np.uint8), np.asarray(white, np.uint8)


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
