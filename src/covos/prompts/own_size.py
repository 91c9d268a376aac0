"""The size of a single frame, in a video whose size changes: a mask may have it, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from covos.media.range import place_of

if TYPE_CHECKING:
    from covos.media.source import Source


def own_size(source: Source, frame: int) -> tuple[int, int]:
    """Return the (height, width) of a frame, by its number in the whole source; it is decoded.

    A frame that cannot be read has the size of the source.
    """
    read = next(source.select([place_of(frame, source.info)]), None)
    if read is None:
        return source.info.height, source.info.width
    height, width = read.image.shape[:2]
    return height, width
