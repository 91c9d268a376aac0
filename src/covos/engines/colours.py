"""Object ids from the colours that a network of three outputs paints."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from covos.masks import davis_palette
from covos.models.cosnet import PALETTE_LEVEL
from covos.types import LabelArray


def colours_to_labels(colours: NDArray[np.float32], *, objects: int = 7, level: float = PALETTE_LEVEL) -> LabelArray:
    """The object id whose colour in the DAVIS palette is nearest to each pixel's, the background's black included.

    Distances are Euclidean, in units of what a set channel is; of equally near colours the lower id wins.

    Args:
        colours: H x W x 3 in [0, 1], RGB: a network's three outputs, or the colours of a picture.
        objects: The highest id there may be, 1..255. With 7 or fewer the colours are corners of a cube.
        level: What an output is where a channel is set: `PALETTE_LEVEL` of a network that regresses colours, 1 of one
            whose outputs are classes (see `covos.models.cosnet.CosnetConfig`).

    Returns:
        H x W uint8; 0 = background.
    """
    palette = davis_palette()[: objects + 1].astype(np.float32) / np.float32(255 * PALETTE_LEVEL)
    pixels = colours.astype(np.float32) / np.float32(level)
    # |c - p|^2 without |c|^2, which is the same for all p.
    distance = (palette**2).sum(axis=1) - 2 * pixels @ palette.T
    labels: LabelArray = distance.argmin(axis=-1).astype(np.uint8)
    return labels
