"""Tell by its content what a file or folder of masks is, and read it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from covos.core.errors import AnnotationError
from covos.formats.coco import read_coco
from covos.formats.cvat import read_cvat
from covos.formats.labelstudio import read_labelstudio
from covos.formats.mask_pictures import MASKS, mask_files, object_folders, read_object_folders, read_pictures
from covos.formats.npz import read_npz
from covos.formats.reading import DamagedError, MasksRead
from covos.formats.ytvis import read_ytvis
from covos.runs.schema import REPORT, load_report

READABLE = ("masks", "masks.npz", "coco.json", "ytvis.json", "cvat.xml", "labelstudio.json", "binary")
"""What a run may have written that can be read back; those first that tell objects apart and are read fast."""


def read_masks(path: Path) -> MasksRead:
    """Read masks from a file or folder.

    Args:
        path: The output folder of a run, a folder of mask pictures, or a file: COCO, YouTube-VIS or Label Studio
            JSON, CVAT XML, npz.

    Raises:
        AnnotationError: It is missing, damaged, or nothing of this.
        InputError: It is an output folder whose report is damaged.
    """
    try:
        return _read_folder(path) if path.is_dir() else _reader(path)(path)
    except DamagedError as error:
        raise _unreadable(path, str(error)) from error
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        raise _unreadable(path, "there is no such file" if missing else error.strerror or str(error)) from error


def _read_folder(path: Path) -> MasksRead:
    if (path / REPORT).is_file():
        outputs = load_report(path).outputs
        for name in READABLE:
            if name in outputs:
                return read_masks(path / name)
        raise _unreadable(
            path,
            f"its run wrote {', '.join(outputs) or 'nothing whole'}, of which no masks can be read",
            fix="segment again with -f palette beside the other formats",
        )
    for folder in (path, path / MASKS):
        if folder.is_dir() and mask_files(folder):
            return read_pictures(folder)
    if object_folders(path):
        return read_object_folders(path)
    raise _unreadable(path, "it has neither a report of covos nor mask pictures")


def _reader(path: Path) -> Callable[[Path], MasksRead]:
    with path.open("rb") as file:
        start = file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"PK\x03\x04"):
        return read_npz
    if start.startswith(b"<"):
        return read_cvat
    if start.startswith((b"{", b"[")):
        return _read_json
    raise DamagedError("it is no COCO, YouTube-VIS or Label Studio JSON, no CVAT XML, no npz")


def _read_json(path: Path) -> MasksRead:
    try:
        content: Any = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"it is not whole JSON: {' '.join(str(error).split())}") from error
    if isinstance(content, list):
        return read_labelstudio(path, content)
    if "videos" in content and "images" not in content:
        return read_ytvis(path, content)
    return read_coco(path, content)


def _unreadable(path: Path, why: str, *, fix: str | None = None) -> AnnotationError:
    usual = "name an output folder of covos, a folder of mask PNGs, or a coco, ytvis, cvat, labelstudio or npz file"
    return AnnotationError(f"cannot read masks from {path}", why=why, fix=fix or usual)
