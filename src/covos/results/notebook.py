"""Show a result in a notebook: a few frames on one small sheet."""

from __future__ import annotations

import base64
import html
import io

import cv2
import numpy as np
from PIL import Image

from covos.core.errors import CovosError
from covos.core.types import ImageArray
from covos.masks import contact_sheet, draw_overlay
from covos.masks.frame_mask import FrameMask
from covos.results.replay import Replay

FRAMES = 6
SIDE = 160
"""The most pixels that a frame is wide or high."""
_PAPER = 48
_QUALITY = 80


def as_html(replay: Replay, *, text: str) -> str:
    """Show up to six frames, evenly spread, above a text; nothing is loaded from elsewhere.

    If the source cannot be read, the masks are shown alone.

    Args:
        replay: The masks and their source.
        text: Plain text below the pictures.
    """
    text = f"<div><code>{html.escape(text)}</code></div>"
    chosen = [replay.frames[place] for place in _spread(len(replay.frames))]
    if not chosen:
        return text
    cells = [_cell(image, mask) for image, mask in zip(_pictures(replay, chosen), chosen, strict=True)]
    captions = [f"{mask.number}: {mask.time:.2f} s" for mask in chosen]
    sheet = contact_sheet(cells, columns=3, cell_width=cells[0].shape[1], captions=captions)
    data = io.BytesIO()
    Image.fromarray(sheet).save(data, format="JPEG", quality=_QUALITY)
    code = base64.b64encode(data.getvalue()).decode("ascii")
    return f'<div><img alt="frames with their masks" src="data:image/jpeg;base64,{code}"></div>{text}'


def _spread(count: int) -> list[int]:
    return sorted({round(place) for place in np.linspace(0, count - 1, min(count, FRAMES))}) if count else []


def _pictures(replay: Replay, masks: list[FrameMask]) -> list[ImageArray]:
    try:
        return replay.pictures(masks)
    except CovosError:  # a notebook must show a result whose video was moved
        return [np.full((*mask.size, 3), _PAPER, np.uint8) for mask in masks]


def _cell(image: ImageArray, mask: FrameMask) -> ImageArray:
    drawn = draw_overlay(image, mask.labels)
    height, width = mask.size
    scale = min(1.0, SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(drawn, size, interpolation=cv2.INTER_AREA), np.uint8)
