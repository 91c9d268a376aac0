"""Write zip files whose bytes depend on their members alone."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

from covos.core.files import atomic_path

_EARLIEST = (1980, 1, 1, 0, 0, 0)  # that a zip file can express
_UNIX = 3
_READABLE_FILE = 0o100644 << 16


def write_archive(path: Path, members: Mapping[str, Path]) -> None:
    """Write a zip file; one that exists is replaced.

    Members are sorted by name and have one fixed time. They are stored, not compressed: masks are PNG files, which
    are compressed already, and what a compressor makes of them depends on its version.

    Args:
        path: The ``.zip`` file.
        members: Name in the archive, with forward slashes, to file.

    Raises:
        EnvironmentProblem: The disk is full or not writable; no half-written archive is left.
    """
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            entry = zipfile.ZipInfo(name, date_time=_EARLIEST)
            entry.create_system = _UNIX  # else the system that writes it
            entry.external_attr = _READABLE_FILE
            archive.writestr(entry, members[name].read_bytes())
