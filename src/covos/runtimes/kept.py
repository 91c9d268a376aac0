"""Graphs that are kept: each use of a folder is noted, and those that nobody has used for long are removed.

Each release of covos or torch makes graphs of its own, and only time tells that no installation wants the old ones any
more. Several processes may do this at once: a folder is taken out of the way in one step before it is emptied.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

DAYS: Final = 30
"""Days without use after which graphs are removed."""
MOST: Final = 40
"""Folders that are kept at most, those used last: where covos itself is changed, each change makes new ones."""
_DAY: Final = 24 * 3600.0
_FOLDER: Final = re.compile(r"[0-9a-f]{16}-[0-9a-f]{16}")
_ASIDE: Final = re.compile(rf"\.{_FOLDER.pattern}\..*")
"""Folders that are being made, or emptied; a process that was killed leaves them."""


def note_use(folder: Path) -> None:
    """Note that the graphs in a folder are used now: its time of change says so."""
    with suppress(OSError):  # not there yet, or of somebody else
        os.utime(folder)


def remove_unused(root: Path) -> None:
    """Remove the folders of graphs in ``root`` that were not used for `DAYS`, and those beyond the last `MOST`.

    A folder that cannot be removed stays. Files and folders of other names are left alone.
    """
    now = time.time()
    ages: dict[Path, float] = {}
    with suppress(OSError):
        for entry in os.scandir(root):
            with suppress(OSError):  # another process has removed it meanwhile
                ages[Path(entry.path)] = (now - entry.stat(follow_symlinks=False).st_mtime) / _DAY
    kept = sorted((path for path in ages if _FOLDER.fullmatch(path.name)), key=ages.__getitem__)
    for number, path in enumerate(kept):
        if number >= MOST or ages[path] > DAYS:
            _remove(path)
    for path, days in ages.items():
        if _ASIDE.fullmatch(path.name) and days > 1:
            shutil.rmtree(path, ignore_errors=True)


def _remove(folder: Path) -> None:
    """Remove a folder in a way that no process ever finds a part of it under its name."""
    aside = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}")
    with suppress(OSError):  # another process was faster, or has a file of it open where that holds it
        folder.replace(aside)
    shutil.rmtree(aside, ignore_errors=True)
