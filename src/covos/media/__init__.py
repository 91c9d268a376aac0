"""Reading and writing video and images. PyAV is used here and nowhere else.

``open_source`` is the way in, ``VideoWriter`` the way out, ``prefetch`` decodes ahead in the background.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from covos.media.ahead import prefetch
from covos.media.identity import fingerprint
from covos.media.source import Health, Source

if TYPE_CHECKING:
    from covos.media.opening import open_source
    from covos.media.writer import VideoWriter

__all__ = ["Health", "Source", "VideoWriter", "fingerprint", "open_source", "prefetch"]

_HOMES = {"VideoWriter": "covos.media.writer", "open_source": "covos.media.opening"}


def __getattr__(name: str) -> object:
    """Load what needs FFmpeg on first use: that takes longer than a command line may take to show its help."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return __all__
