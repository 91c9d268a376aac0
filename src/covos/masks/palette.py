"""The palette that DAVIS, YouTube-VOS and PASCAL VOC annotations are drawn with."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@cache
def davis_palette() -> NDArray[np.uint8]:
    """The 256 colours, one a row; the index is the object id.

    Bits 0, 1 and 2 of the index are the highest bits of red, green and blue, bits 3, 4 and 5 the next, and so on
    (the VOC colormap): 0 is black, 1 (128, 0, 0), 2 (0, 128, 0), 3 (128, 128, 0), 4 (0, 0, 128).

    Returns:
        256 x 3, uint8, RGB, read-only.
    """
    index = np.arange(256, dtype=np.uint8)
    bits = np.unpackbits(index[:, None], axis=1, bitorder="little")  # 256 x 8, lowest bit first
    channels = np.zeros((256, 3, 8), np.uint8)
    for channel in range(3):
        own = bits[:, channel::3]
        channels[:, channel, : own.shape[1]] = own
    palette = np.packbits(channels, axis=2)[..., 0]
    palette.flags.writeable = False
    return palette


def colour_ids() -> dict[int, int]:
    """Packed RGB (``red << 16 | green << 8 | blue``) to object id, for masks that were saved in colour.

    Many tools write 191 where the colormap has 192; both are known here.
    """
    palette = davis_palette().astype(np.int64)
    both = np.concatenate((palette, np.where(palette == 192, 191, palette)))
    packed = both[:, 0] << 16 | both[:, 1] << 8 | both[:, 2]
    return {colour: index % 256 for index, colour in enumerate(packed.tolist())}
