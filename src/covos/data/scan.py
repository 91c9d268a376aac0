"""List folders fast: one ``os.scandir`` a folder, no ``stat`` a file."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from covos.core.errors import SourceError
from covos.data.base import FrameRecord
from covos.media.images import IMAGE_SUFFIXES, natural_key


def natural(names: Iterable[str]) -> list[str]:
    """Sort names so that ``frame2`` comes before ``frame10``; equal numbers (``1``, ``01``) go by their letters."""
    return sorted(names, key=lambda name: (natural_key(name), name))


def subfolders(folder: Path) -> dict[str, Path]:
    """Return name to path of the folders in a folder, in natural order, without hidden ones; none if it is missing."""
    found = {entry.name: Path(entry.path) for entry in _entries(folder) if entry.is_dir()}
    return {name: found[name] for name in natural(found)}


def pictures(folder: Path) -> dict[str, Path]:
    """Return stem to path of the picture files in a folder, in natural order, whatever the case of extensions.

    Hidden files (``.DS_Store``, ``._00000.jpg``) and files of other kinds are left out. A folder that does not exist
    has none.
    """
    found: dict[str, Path] = {}
    for entry in _entries(folder):
        stem, suffix = os.path.splitext(entry.name)  # noqa: PTH122  a Path for each name triples the time
        if suffix.lower() not in IMAGE_SUFFIXES:
            continue
        if stem in found:
            raise SourceError(
                f"{folder}: {found[stem].name} and {entry.name} share the name {stem!r}",
                why="frames and annotations are paired by name, and this one is not unique",
                fix="keep one of them, or rename them",
            )
        found[stem] = Path(entry.path)
    return {stem: found[stem] for stem in natural(found)}


def has_pictures(folder: Path) -> bool:
    """Return True if a folder holds at least one picture file; stop at the first."""
    return any(os.path.splitext(entry.name)[1].lower() in IMAGE_SUFFIXES for entry in _entries(folder))  # noqa: PTH122


def pair(images: dict[str, Path], annotations: dict[str, Path]) -> tuple[tuple[FrameRecord, ...], tuple[Path, ...]]:
    """Return the frames, in the order of ``images``, and the annotations that belong to no image.

    If there is no image, the annotations alone are the frames.
    """
    if not images:
        return tuple(FrameRecord(stem, None, path) for stem, path in annotations.items()), ()
    frames = tuple(FrameRecord(stem, path, annotations.get(stem)) for stem, path in images.items())
    return frames, tuple(path for stem, path in annotations.items() if stem not in images)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise SourceError(
            f"{folder}: the folder cannot be listed", why=str(error.strerror or error), fix="check its permissions"
        ) from error
