"""The output formats by name. A new format is a new file here and one line in the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from covos.errors import UsageError
from covos.outputs.base import Writer, WriterMaker
from covos.outputs.folder import OutputFolder
from covos.outputs.overlay import OverlayWriter
from covos.outputs.palette import PaletteWriter
from covos.types import SourceInfo

WRITERS: Mapping[str, WriterMaker] = MappingProxyType(
    {
        "overlay": OverlayWriter,
        "palette": PaletteWriter,
    }
)
FORMATS = tuple(sorted(WRITERS))
"""Names of the formats, sorted."""


def check_formats(names: Sequence[str]) -> tuple[str, ...]:
    """The formats, each once.

    Raises:
        UsageError: One is unknown.
    """
    for name in names:
        if name not in WRITERS:
            raise UsageError(
                f"unknown output format {name!r}",
                why="no writer has this name",
                fix=f"use one of: {', '.join(FORMATS)}",
            )
    return tuple(dict.fromkeys(names))


def needs_probability(names: Sequence[str]) -> bool:
    """Whether a format uses more of a result than its labels: each does whose maker does not say ``labels_only``."""
    return not all(getattr(WRITERS[name], "labels_only", False) for name in names)


def make_writer(name: str, folder: OutputFolder, *, info: SourceInfo, source_path: Path) -> Writer:
    """Make the writer of a format. Nothing is written before its first frame.

    Args:
        name: One of `FORMATS`.
        folder: Where its files go.
        info: Of the source whose frames will come.
        source_path: Of the source, for what is copied from it (sound).

    Raises:
        UsageError: There is no such format.
    """
    check_formats([name])
    return WRITERS[name](folder, info=info, source_path=source_path)
