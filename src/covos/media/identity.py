"""Tell whether an input is still the same, without reading all of a long video."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_BLOCK = 1 << 16
_BLOCKS_OF_ONE, _BLOCKS_OF_MANY = 64, 2


def fingerprint(files: Sequence[Path]) -> str:
    """The hex digest (sha256) of files' names, sizes, and blocks of 64 KiB spread evenly over each, ends included.

    64 blocks of a single file, so 4 MiB at most however long the video; 2 of each of several, so that most frames are
    read whole. An edit that keeps the size and touches none of these blocks is not seen; adding, removing, renaming or
    re-encoding is. A single file may be renamed: it is the same video.

    Args:
        files: As `covos.media.source.Source.files`.

    Raises:
        OSError: One cannot be read.
    """
    digest = hashlib.sha256()
    count = _BLOCKS_OF_ONE if len(files) == 1 else _BLOCKS_OF_MANY
    for path in files:
        size = path.stat().st_size
        name = "" if len(files) == 1 else path.name
        digest.update(f"{name!r} {size}\n".encode())
        with path.open("rb") as file:
            for start in _starts(size, count=count):
                file.seek(start)
                digest.update(file.read(_BLOCK))
    return digest.hexdigest()


def _starts(size: int, *, count: int) -> list[int]:
    if size <= count * _BLOCK:
        return list(range(0, size, _BLOCK))
    return [(size - _BLOCK) * block // (count - 1) for block in range(count)]
