"""Pictures side by side on one sheet, with captions."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from covos.types import ImageArray

_GAP = 6
_PAPER = 24
_INK = (235, 235, 235)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def contact_sheet(
    cells: Sequence[ImageArray], *, columns: int, cell_width: int, captions: Sequence[str] | None = None
) -> ImageArray:
    """Lay pictures out in rows, each scaled to one width with its own aspect ratio.

    Args:
        cells: H x W x 3 uint8 RGB pictures of any sizes, at least one.
        columns: Pictures a row.
        cell_width: Width of each, in pixels.
        captions: A line under each picture; letters outside ASCII are shown as ``?``, what is too long is cut.

    Returns:
        H x W x 3 uint8 RGB.

    Raises:
        ValueError: No cell, a number below 1, or not one caption a cell.
    """
    if not cells or columns < 1 or cell_width < 1:
        raise ValueError(f"{len(cells)} cells in {columns} columns of {cell_width} pixels make no sheet")
    if captions is not None and len(captions) != len(cells):
        raise ValueError(f"{len(captions)} captions for {len(cells)} cells")
    band = _caption_height(cell_width) if captions is not None else 0
    scaled = [_scale(cell, cell_width) for cell in cells]
    rows = [range(start, min(start + columns, len(scaled))) for start in range(0, len(scaled), columns)]
    heights = [max(scaled[index].shape[0] for index in row) + band for row in rows]
    width = min(columns, len(scaled)) * (cell_width + _GAP) + _GAP
    sheet = np.full((sum(heights) + _GAP * (len(rows) + 1), width, 3), _PAPER, np.uint8)
    top = _GAP
    for row, height in zip(rows, heights, strict=True):
        for column, index in enumerate(row):
            cell, left = scaled[index], _GAP + column * (cell_width + _GAP)
            sheet[top : top + cell.shape[0], left : left + cell_width] = cell
            if captions is not None:
                below = top + cell.shape[0]
                sheet[below : below + band, left : left + cell_width] = _caption(captions[index], cell_width, band)
        top += height + _GAP
    return sheet


def _scale(cell: ImageArray, width: int) -> ImageArray:
    height = max(1, round(cell.shape[0] * width / cell.shape[1]))
    smaller = width < cell.shape[1]
    scaled = cv2.resize(cell, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
    return scaled.astype(np.uint8)


def _caption_height(cell_width: int) -> int:
    return round(min(max(cell_width * 0.075, 14), 30))


def _caption(text: str, width: int, height: int) -> ImageArray:
    text = text.encode("ascii", "replace").decode("ascii")
    scale = cv2.getFontScaleFromHeight(_FONT, round(height * 0.45))
    while text and cv2.getTextSize(text, _FONT, scale, 1)[0][0] > width:
        text = text.removesuffix("..")[:-1] + ".." if len(text) > 3 else text[:-1]
    band = np.full((height, width, 3), _PAPER, np.uint8)
    cv2.putText(band, text, (1, round(height * 0.7)), _FONT, scale, _INK, 1, cv2.LINE_AA)
    return band
