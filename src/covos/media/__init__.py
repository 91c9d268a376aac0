"""Reading and writing video and images. PyAV is used here and nowhere else.

``open_source`` is the way in, ``VideoWriter`` the way out, ``prefetch`` decodes ahead in the background.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from covos.media.opening import open_source
    from covos.media.prefetch import prefetch
    from covos.media.source import Health, Source
    from covos.media.writer import VideoWriter

__all__ = ["Health", "Source", "VideoWriter", "open_source", "prefetch"]

_HOMES = {
    "Health": "covos.media.source",
    "Source": "covos.media.source",
    "VideoWriter": "covos.media.writer",
    "open_source": "covos.media.opening",
    "prefetch": "covos.media.prefetch",
}


def __getattr__(name: str) -> Any:
    # Loaded when asked for: FFmpeg takes longer to load than a command line may take to show its help.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
