"""Soft masks (mattes): how much of each pixel belongs to the subject."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from covos.errors import AnnotationError
from covos.masks.ids import split_alpha
from covos.masks.picture import open_mask

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from covos.types import ProbabilityArray


def read_soft_mask(path: Path) -> ProbabilityArray:
    """Read a matte: the alpha channel where there is one that is not all opaque, else the grey value.

    Args:
        path: A grey picture of 1, 8 or 16 bits, a colour or palette picture whose colours are all grey, or any
            picture with alpha.

    Returns:
        H x W float32, black or transparent = 0, white or opaque = 1.

    Raises:
        AnnotationError: The file is missing or damaged, or is a colour picture without alpha.
    """
    image, alpha = split_alpha(open_mask(path))
    if alpha is not None:
        return _scaled(alpha, white=255)
    if image.mode == "1":
        return _scaled(np.asarray(image), white=1)
    if image.mode.startswith("I"):
        return _scaled(np.clip(np.asarray(image), 0, 65535), white=65535)
    if image.mode != "L":
        colours = np.asarray(image.convert("RGB"))
        if (colours != colours[..., :1]).any():
            raise AnnotationError(
                f"{path} is not a soft mask",
                why="it has colours; a matte is grey or an alpha channel",
                fix="export the matte as a grey PNG, or read the file as a label map",
            )
        return _scaled(colours[..., 0], white=255)
    return _scaled(np.asarray(image), white=255)


def _scaled(values: NDArray[Any], *, white: int) -> ProbabilityArray:
    return values.astype(np.float32) / np.float32(white)
