"""Caps that protect the reader from files that are small on disk and huge in memory."""

from __future__ import annotations

from covos.errors import SourceError

MAX_PIXELS = 8192 * 8192
"""Pixels in one frame above which a source is refused, before anything is decoded."""


def check_pixels(name: str, *, height: int, width: int) -> None:
    """Refuse frames that would not fit in memory.

    Args:
        name: The file, for the message.
        height: Height in pixels that the header states.
        width: Width in pixels that the header states.

    Raises:
        SourceError: The frame has more than ``MAX_PIXELS`` pixels.
    """
    if height * width > MAX_PIXELS:
        raise SourceError(
            f"{name}: its frames are {width}x{height} pixels",
            why=f"frames above {MAX_PIXELS} pixels are refused, so that a small file cannot fill the memory",
            fix="scale it down first, for example to 3840x2160",
        )
