"""Read what the three video layouts share: lists in ``ImageSets``, folders of images and of annotations a video."""

from __future__ import annotations

from typing import TYPE_CHECKING

from covos.core.errors import SourceError
from covos.data.base import Encoding, NoSubsetError, ObjectInfo, Video, some
from covos.data.encoding import detect_encoding
from covos.data.scan import natural, pair, pictures, subfolders

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


def read_names(path: Path) -> tuple[str, ...]:
    """Return the videos that a list names, each once, in its order.

    A line is a name, or DAVIS 2016's pair of files (``/JPEGImages/480p/bear/00000.jpg /Annotations/...``), which
    names the folder of its first file. LF, CR and CR LF end a line; empty lines and a byte-order mark are skipped.

    Raises:
        SourceError: The file cannot be read as text.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(
            f"{path}: the list of videos cannot be read", why=str(error), fix="save it as plain text, one name a line"
        ) from error
    lines = (line.strip() for line in text.splitlines())
    return tuple(dict.fromkeys(_name(line) for line in lines if line))


def read_lists(folder: Path) -> dict[str, tuple[str, ...]]:
    """Return list name (the file's stem) to the videos it names, for every ``.txt`` file in a folder."""
    if not folder.is_dir():
        return {}
    paths = {path.stem: path for path in folder.iterdir() if path.suffix.lower() == ".txt" and path.is_file()}
    return {stem: read_names(paths[stem]) for stem in natural(paths) if not stem.startswith(".")}


def choose(
    lists: Mapping[str, tuple[str, ...]], *, subset: str | None, present: Iterable[str], root: Path
) -> tuple[dict[str, str | None], tuple[str, ...]]:
    """Choose the videos to open, and the subset of each.

    Args:
        lists: List name to the videos it names.
        subset: The list to open; None opens every video that is present.
        present: Names of the videos in the tree.
        root: The data set's folder, for messages.

    Returns:
        Video name to subset, in natural order, and notes: which listed videos are missing, if all are opened. A video
        in several lists (``train`` and ``trainval``) belongs to the shortest.

    Raises:
        NoSubsetError: There is no such list.
        SourceError: The list is empty, or names videos that are missing.
    """
    present = set(present)
    if subset is not None:
        names = _listed(lists, subset=subset, root=root)
        missing = [name for name in names if name not in present]
        if missing:
            raise SourceError(
                f"{root}: {len(missing)} of the {len(names)} videos of {subset!r} are missing: {some(missing)}",
                why="the list names them, and there is no folder of that name",
                fix="complete the tree, take the names out of the list, or open it without a subset",
            )
        return dict.fromkeys(natural(names), subset), ()
    home: dict[str, str | None] = dict.fromkeys(natural(present))
    notes = []
    for name, members in sorted(lists.items(), key=lambda item: -len(item[1])):
        home |= {member: name for member in members if member in present}
        missing = [member for member in members if member not in present]
        if missing:
            notes.append(f"{len(missing)} of the {len(members)} videos of {name!r} are missing: {some(missing)}")
    return home, tuple(notes)


def _listed(lists: Mapping[str, tuple[str, ...]], *, subset: str, root: Path) -> tuple[str, ...]:
    if subset not in lists:
        raise NoSubsetError(
            f"{root}: the subset {subset!r} does not exist",
            why=f"the lists in ImageSets are: {some(lists, shown=12)}",
            fix="name one of them, not a path (a list of your own goes into ImageSets), or leave the subset out",
        )
    if not lists[subset]:
        raise SourceError(
            f"{root}: the subset {subset!r} is empty",
            why="its list in ImageSets names no video",
            fix="write one name a line, or leave the subset out to open all videos",
        )
    return lists[subset]


def _name(line: str) -> str:
    first = line.split(maxsplit=1)[0]
    folders = first.strip("/").split("/")
    return folders[-2] if len(folders) > 1 else line


def present(images: Path, annotations: Path) -> set[str]:
    """Return the videos that have a folder of images or, in a tree of annotations alone, of annotations."""
    return set(subfolders(images)) or set(subfolders(annotations))


def read_sequences(
    subsets: Mapping[str, str | None],
    *,
    images: Path,
    annotations: Path,
    encoding: Encoding | None,
    objects: Mapping[str, Mapping[int, ObjectInfo]] | None = None,
) -> tuple[Video, ...]:
    """Pair the frames and annotations of videos.

    Args:
        subsets: Name of each video, in order, to its subset.
        images: Folder with one folder a video.
        annotations: Likewise; a video may lack one.
        encoding: Encoding of the annotations; None looks at some of them.
        objects: Video name to object id to what is known of the object.

    Raises:
        SourceError: Two files of a folder share a stem.
        AnnotationError: The annotations are of different kinds.
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
