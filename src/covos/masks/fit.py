"""A mask must have the size of its frame; if not, say so, and resize only when asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2

from covos.errors import AnnotationError

if TYPE_CHECKING:
    from pathlib import Path

    from covos.types import LabelArray


def fit_labels(labels: LabelArray, *, size: tuple[int, int], path: Path, resize: bool = False) -> LabelArray:
    """The label map at the frame's size.

    Args:
        labels: H x W uint8 ids.
        size: (height, width) of the frame.
        path: Where the labels come from, for the message.
        resize: Resize a map of another size (nearest neighbour: ids are never mixed).

    Returns:
        The map itself where it fits, or a resized copy.

    Raises:
        AnnotationError: The sizes differ and ``resize`` is off.
    """
    height, width = labels.shape
    if (height, width) == size:
        return labels
    if resize:
        return cv2.resize(labels, (size[1], size[0]), interpolation=cv2.INTER_NEAREST_EXACT).astype(labels.dtype)
    rotated = (width, height) == size
    raise AnnotationError(
        f"{path} does not have the size of its frame",
        why=f"the mask is {width}x{height}, the frame {size[1]}x{size[0]}" + (" (rotated?)" if rotated else ""),
        fix="rotate the mask as the frame is displayed"
        if rotated
        else "export it at that size; beside --mask, --resize-masks (resize=True) resizes it",
    )
