"""The remains of a server that was killed: uploads that broke off, clips that never began, half-written files."""

from __future__ import annotations

import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Final

from covos.runs.folder import PARTIAL
from covos.serve import uploads
from covos.serve.clip import RECORD

UPLOADING: Final = ".upload-"
"""Begins the names of folders that hold an upload in one piece, until it is a clip."""
_PLACE: Final = re.compile(r"[0-9a-f]{16}")
"""The name of a clip's folder, as `covos.serve.arrivals` gives it."""


def remove_leftovers(root: Path) -> None:
    """Delete what a killed server has left in the folder of its clips, which no other server has at this time.

    Its clients were told of none of it. An upload in parts stays: it goes on. So does a folder with anything in it
    that is not of this server, whatever its name: a user may give a folder that has other things as well.
    """
    for entry in list(root.iterdir()):
        with suppress(OSError):  # a folder that nobody may read keeps no server from its clips
            _clear(entry)


def _clear(entry: Path) -> None:
    if not entry.is_dir() or entry.is_symlink():
        return
    is_upload = entry.name.startswith(UPLOADING) or uploads.is_unbegun(entry)
    if is_upload or _is_unbegun(entry):
        shutil.rmtree(entry, ignore_errors=True)
    elif (entry / RECORD).is_file():
        _remove_partial(entry)


def _is_unbegun(folder: Path) -> bool:
    """Tell if a folder is that of a clip whose record was never written: it has only what comes before."""
    return _PLACE.fullmatch(folder.name) is not None and uploads.has_only(folder, {"source", "edits"})


def _remove_partial(clip: Path) -> None:
    """Delete the files of a clip that were being written; its run and its downloads clear up by themselves."""
    for folder in (clip, clip / "edits"):
        for file in list(folder.iterdir()) if folder.is_dir() else ():
            if PARTIAL.fullmatch(file.name):
                file.unlink(missing_ok=True)
