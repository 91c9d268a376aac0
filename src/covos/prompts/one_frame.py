"""One frame of a source, decoded for its prompts: the size that a mask may have, and its alpha as a mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from covos.core.errors import SourceError, UsageError
from covos.core.words import Words
from covos.masks.scaling import to_size
from covos.masks.shown import HALF
from covos.media.range import place_of

if TYPE_CHECKING:
    from covos.core.types import MaskArray
    from covos.media.source import Source


def alpha_mask(source: Source, frame: int) -> MaskArray:
    """Return what is opaque in a frame, by its number in the whole source: H x W bool of the source's size.

    Raises:
        UsageError: The frame has no alpha, or is transparent all over.
        SourceError: The frame cannot be read.
    """
    read = next(source.select([place_of(frame, source.info)]), None)
    if read is None:
        raise SourceError(
            f"{source.info.path}: frame {frame} cannot be read",
            why="the file is damaged or cut there",
            fix="take the alpha of another frame, or give a mask",
        )
    if read.alpha is None:
        raise UsageError(
            f"{source.info.path}: frame {frame} has no alpha to take as a mask",
            why="every pixel of it is opaque",
            fix="give a mask, or leave out " + Words("--alpha-as-mask", python="alpha_as_mask=True"),
        )
    opaque = read.alpha >= HALF
    if not opaque.any():
        raise UsageError(
            f"{source.info.path}: the alpha of frame {frame} shows no object",
            why="every pixel of it is transparent",
            fix="take the alpha of a frame that shows the object, in a prompt file or a session",
        )
    mask: MaskArray = to_size(opaque, (source.info.height, source.info.width))
    return mask


def own_size(source: Source, frame: int) -> tuple[int, int]:
    """Return the (height, width) of a frame, by its number in the whole source; it is decoded.

    The size of a video may change, and a mask may have that of its frame. A frame that cannot be read has the size of
    the source.
    """
    read = next(source.select([place_of(frame, source.info)]), None)
    if read is None:
        return source.info.height, source.info.width
    height, width = read.image.shape[:2]
    return height, width
