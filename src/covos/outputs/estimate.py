"""How large a result will be, said before the work begins."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from covos.types import SourceInfo

# Measured by `python benchmarks/formats.py` at 480p, where a pixel holds more detail than at 1080p. Formats that are
# not listed are small beside the source itself.
_BYTES_PER_PIXEL = {"cutout": 0.53, "ffv1": 0.40, "matte=16": 0.53, "prores": 0.85, "qtrle": 1.48, "rgba": 0.68}
_WORTH_SAYING = 100_000_000


def size_notes(formats: Sequence[str], *, info: SourceInfo, folder: Path) -> tuple[str, ...]:
    """What to tell a user of large results: formats above 100 MB, and a disk that will not hold them.

    Args:
        formats: As given to `check_formats`.
        info: Of the source.
        folder: Where they will go; it need not exist.

    Returns:
        A line for each, in plain words.
    """
    pixels = info.frame_count * info.height * info.width
    sizes = {name: round(_BYTES_PER_PIXEL.get(name, 0) * pixels) for name in formats}
    notes = [f"{name} will take about {_readable(size)}" for name, size in sizes.items() if size >= _WORTH_SAYING]
    free = shutil.disk_usage(_existing(folder)).free
    if sum(sizes.values()) > free:
        notes.append(f"the disk of {folder} has {_readable(free)} free, which may not be enough")
    return tuple(notes)


def _existing(folder: Path) -> Path:
    here = folder.absolute()
    while not os.path.lexists(here):
        here = here.parent
    return here


def _readable(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
