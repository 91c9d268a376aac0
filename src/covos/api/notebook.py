"""What a notebook shows of a result: a few frames on one small sheet."""

from __future__ import annotations

import base64
import html
import io
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image

from covos.api.replay import pictures_of
from covos.core.errors import CovosError
from covos.core.types import ImageArray
from covos.masks import contact_sheet, draw_overlay

if TYPE_CHECKING:
    from covos.api.segmentation import Segmentation
    from covos.masks.frame_mask import FrameMask

FRAMES = 6
SIDE = 160
"""The most pixels that a frame is wide or high."""
_PAPER = 48
_QUALITY = 80


def as_html(result: Segmentation) -> str:
    """A picture of up to six frames, evenly spread, and the result's description; nothing is loaded from elsewhere.

    If the source cannot be read, the masks are shown alone.

    Args:
        result: To show.
    """
    text = f"<div><code>{html.escape(repr(result))}</code></div>"
    chosen = [result.frames[place] for place in _spread(len(result))]
    if not chosen:
        return text
    cells = [_cell(image, mask) for image, mask in zip(_pictures(result, chosen), chosen, strict=True)]
    captions = [f"{mask.index}: {mask.time:.2f} s" for mask in chosen]
    sheet = contact_sheet(cells, columns=3, cell_width=cells[0].shape[1], captions=captions)
    data = io.BytesIO()
    Image.fromarray(sheet).save(data, format="JPEG", quality=_QUALITY)
    code = base64.b64encode(data.getvalue()).decode("ascii")
    return f'<div><img alt="frames with their masks" src="data:image/jpeg;base64,{code}"></div>{text}'


def _spread(count: int) -> list[int]:
    return sorted({round(place) for place in np.linspace(0, count - 1, min(count, FRAMES))}) if count else []


def _pictures(result: Segmentation, masks: list[FrameMask]) -> list[ImageArray]:
    try:
        return pictures_of(result, masks)
    except CovosError:  # a notebook must show a result whose video was moved
        return [np.full((*mask.size, 3), _PAPER, np.uint8) for mask in masks]


def _cell(image: ImageArray, mask: FrameMask) -> ImageArray:
    drawn = draw_overlay(image, mask.labels)
    height, width = mask.size
    scale = min(1.0, SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(drawn, size, interpolation=cv2.INTER_AREA), np.uint8)
