"""Rules: the bounds that whoever runs a server sets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

UPLOAD: Final = 8 << 30
QUOTA: Final = 64 << 30
WAITING: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The bounds of a server.

    Attributes:
        root: Folder of all clips.
        media: Folder whose files may be named by path; None allows none.
        upload: Bytes of one upload, at most.
        quota: Bytes of all clips together, at most.
        waiting: Pieces of work that may wait.
        expiry: Seconds after which a clip that nobody looks at is deleted; None keeps all.
    """

    root: Path
    media: Path | None = None
    upload: int = UPLOAD
    quota: int = QUOTA
    waiting: int = WAITING
    expiry: float | None = None
