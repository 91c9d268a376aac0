"""Open pictures with Pillow under the limit of covos on pixels, not Pillow's own."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOCK = Lock()


@contextmanager
def without_own_limit() -> Iterator[None]:
    """Let Pillow open headers of any size: it has one limit for the whole process, and warns from half of it on.

    Nothing is decoded inside. The caller compares the size with `covos.core.limits` right after.
    """
    with _LOCK:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before
