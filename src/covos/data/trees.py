"""Read what the layouts share: folders of pictures and masks, paired by name, and the lists in ``ImageSets``.

Folders are listed fast: one ``os.scandir`` a folder, no ``stat`` a file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

from covos.core.errors import SourceError, listed
from covos.core.guarded import read_guarded, text_of
from covos.core.places import Packed, Place
from covos.data.base import Encoding, FrameRecord, NoSubsetError, ObjectInfo
from covos.data.encoding import detect_encoding
from covos.data.video import Video
from covos.media.images import IMAGE_SUFFIXES, natural_key

_Entry: TypeAlias = "os.DirEntry[str] | Packed"


def natural(names: Iterable[str]) -> list[str]:
    """Sort names so that ``frame2`` comes before ``frame10``; equal numbers (``1``, ``01``) go by their letters."""
    return sorted(names, key=lambda name: (natural_key(name), name))


def subfolders(folder: Place) -> dict[str, Place]:
    """Return name to path of the folders in a folder, in natural order, without hidden ones; none if it is missing."""
    found = {entry.name: _place(entry) for entry in _entries(folder) if entry.is_dir()}
    return {name: found[name] for name in natural(found)}


def pictures(folder: Place) -> dict[str, Place]:
    """Return stem to path of the picture files in a folder, in natural order, whatever the case of extensions.

    Hidden files (``.DS_Store``, ``._00000.jpg``) and files of other kinds are left out. A folder that does not exist
    has none.
    """
    found: dict[str, Place] = {}
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
        found[stem] = _place(entry)
    return {stem: found[stem] for stem in natural(found)}


def has_pictures(folder: Place) -> bool:
    """Return True if a folder holds at least one picture file; stop at the first."""
    return any(os.path.splitext(entry.name)[1].lower() in IMAGE_SUFFIXES for entry in _entries(folder))  # noqa: PTH122


def pair(images: dict[str, Place], annotations: dict[str, Place]) -> tuple[tuple[FrameRecord, ...], tuple[Place, ...]]:
    """Return the frames, in the order of ``images``, and the annotations that belong to no image.

    If there is no image, the annotations alone are the frames.
    """
    if not images:
        return tuple(FrameRecord(stem, None, path) for stem, path in annotations.items()), ()
    frames = tuple(FrameRecord(stem, path, annotations.get(stem)) for stem, path in images.items())
    return frames, tuple(path for stem, path in annotations.items() if stem not in images)


def _entries(folder: Place) -> list[_Entry]:
    try:
        if isinstance(folder, Packed):
            return [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise SourceError(
            f"{folder}: the folder cannot be listed", why=str(error.strerror or error), fix="check its permissions"
        ) from error


def _place(entry: _Entry) -> Place:
    return entry if isinstance(entry, Packed) else Path(entry.path)


def _read_names(path: Place) -> tuple[str, ...]:
    """Return the videos that a list names, each once, in its order.

    A line is a name, or DAVIS 2016's pair of files (``/JPEGImages/480p/bear/00000.jpg /Annotations/...``), which
    names the folder of its first file. LF, CR and CR LF end a line; empty lines and a byte-order mark are skipped.
    """
    what, fix = f"{path}: the list of videos cannot be read", "save it as plain text, one name a line"
    try:
        text = text_of(read_guarded(path, what=what, fix=fix, error=SourceError))
    except UnicodeDecodeError as error:
        raise SourceError(what, why=str(error), fix=fix) from error
    lines = (line.strip() for line in text.splitlines())
    return tuple(dict.fromkeys(_name(line) for line in lines if line))


def read_lists(folder: Place) -> dict[str, tuple[str, ...]]:
    """Return list name (the file's stem) to the videos it names, for every ``.txt`` file in a folder."""
    if not folder.is_dir():
        return {}
    paths = {path.stem: path for path in folder.iterdir() if path.suffix.lower() == ".txt" and path.is_file()}
    return {stem: _read_names(paths[stem]) for stem in natural(paths) if not stem.startswith(".")}


def choose(
    lists: Mapping[str, tuple[str, ...]], *, subset: str | None, present: Iterable[str], root: Place
) -> tuple[dict[str, str | None], tuple[str, ...]]:
    """Return the videos to open with the subset of each, in natural order, and notes on listed videos that are missing.

    Without a subset, every video that is present is opened; one in several lists (``train`` and ``trainval``) belongs
    to the shortest.
    """
    present = set(present)

    def missing(name: str) -> str | None:
        absent = [member for member in lists[name] if member not in present]
        said = f"{len(absent)} of the {len(lists[name])} videos of {name!r} are missing: {listed(absent, shown=4)}"
        return said if absent else None

    if subset is not None:
        _refuse_missing_list(lists, subset=subset, root=root)
        if said := missing(subset):
            raise SourceError(
                f"{root}: {said}",
                why="the list names them, and there is no folder of that name",
                fix="complete the tree, take the names out of the list, or open it without a subset",
            )
        return dict.fromkeys(natural(lists[subset]), subset), ()
    home: dict[str, str | None] = dict.fromkeys(natural(present))
    longest_first = sorted(lists, key=lambda name: -len(lists[name]))
    for name in longest_first:
        home |= {member: name for member in lists[name] if member in present}
    return home, tuple(said for name in longest_first if (said := missing(name)))


def _refuse_missing_list(lists: Mapping[str, tuple[str, ...]], *, subset: str, root: Place) -> None:
    if subset not in lists:
        raise NoSubsetError(
            f"{root}: the subset {subset!r} does not exist",
            why=f"the lists in ImageSets are: {listed(lists, shown=12)}",
            fix="name one of them as it stands there (a list of your own goes into ImageSets), or leave the subset out",
        )
    if not lists[subset]:
        raise SourceError(
            f"{root}: the subset {subset!r} is empty",
            why="its list in ImageSets names no video",
            fix="write one name a line, or leave the subset out to open all videos",
        )


def _name(line: str) -> str:
    first = line.split(maxsplit=1)[0]
    folders = first.strip("/").split("/")
    return folders[-2] if len(folders) > 1 else line


def present(images: Place, annotations: Place) -> set[str]:
    """Return the videos that have a folder of images or, in a tree of annotations alone, of annotations."""
    return set(subfolders(images)) or set(subfolders(annotations))


def read_sequences(
    subsets: Mapping[str, str | None],
    *,
    images: Place,
    annotations: Place,
    encoding: Encoding | None,
    objects: Mapping[str, Mapping[int, ObjectInfo]] | None = None,
) -> tuple[Video, ...]:
    """Pair the frames and annotations of videos, which have a folder each in ``images`` and in ``annotations``.

    Without an encoding, some annotations are looked at.
    """
    paired = {name: pair(pictures(images / name), pictures(annotations / name)) for name in subsets}
    if encoding is None:
        masks = [frame.annotation for frames, _ in paired.values() for frame in frames if frame.annotation]
        encoding = detect_encoding(masks, root=annotations)
    return tuple(
        Video(
            name=name,
            frames=frames,
            encoding=encoding,
            objects=(objects or {}).get(name, {}),
            subset=subsets[name],
            extra=extra,
        )
        for name, (frames, extra) in paired.items()
    )
