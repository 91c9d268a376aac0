"""YouTube-VOS 2018 and 2019.

    ROOT/<subset>/JPEGImages/<video>/<frame>.jpg     subset: train, valid, test, and *_all_frames
    ROOT/<subset>/Annotations/<video>/<frame>.png    object ids, every fifth frame; objects may appear late
    ROOT/<subset>/meta.json                          category and frames of each object

ROOT may also be one of the subset folders.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from covos.core.errors import AnnotationError, SourceError
from covos.data.base import Dataset, NoSubsetError, ObjectInfo, Video, some
from covos.data.scan import natural, present, read_sequences, subfolders

if TYPE_CHECKING:
    from pathlib import Path

    from covos.data.opening import Options

LOOKS_LIKE = "train/JPEGImages/<video>/<frame>.jpg with train/Annotations and train/meta.json (likewise valid, test)"
_ALL_FRAMES = "_all_frames"
_SUBSETS = frozenset({"train", "val", "valid", "test"})
Objects = dict[str, dict[int, ObjectInfo]]


def matches(root: Path) -> bool:
    """Whether a meta.json lies beside JPEGImages, or folders such as ``train`` hold a JPEGImages of their own."""
    return bool(_subsets(root))


def read(root: Path, options: Options) -> Dataset:
    """Open a YouTube-VOS tree.

    Without a subset, the ``*_all_frames`` folders are left out: they hold the videos of their namesakes again, at the
    full frame rate.

    Raises:
        SourceError: The subset does not exist, or two subsets hold a video of the same name.
        AnnotationError: A meta.json cannot be read.
    """
    folders = _subsets(root)
    if options.subset is not None and options.subset not in folders:
        raise NoSubsetError(
            f"{root}: the subset {options.subset!r} does not exist",
            why=f"folders with JPEGImages: {some(folders)}; looked for {LOOKS_LIKE}",
            fix="name one of them, or leave the subset out to open all videos",
        )
    notes = []
    if options.subset is not None:
        folders = {options.subset: folders[options.subset]}
    elif left_out := [name for name in folders if name.endswith(_ALL_FRAMES)]:
        notes.append(f"left out, as they hold videos of other folders again: {some(left_out)} (name one to open it)")
        folders = {name: path for name, path in folders.items() if name not in left_out} or folders
    videos: list[Video] = []
    for subset, folder in folders.items():
        objects = _objects(folder / "meta.json")
        images, annotations = folder / "JPEGImages", folder / "Annotations"
        names = natural(present(images, annotations))
        if missing := objects.keys() - set(names):
            notes.append(f"{len(missing)} videos of {folder / 'meta.json'} are missing: {some(natural(missing))}")
        subsets = dict.fromkeys(names, subset)
        videos += read_sequences(
            subsets, images=images, annotations=annotations, encoding=options.encoding or "ids", objects=objects
        )
    _refuse_equal_names([video.name for video in videos], root)
    return Dataset(name=root.resolve().name, layout="youtube-vos", root=root, videos=tuple(videos), notes=tuple(notes))


def _subsets(root: Path) -> dict[str, Path]:
    if (root / "meta.json").is_file() and (root / "JPEGImages").is_dir():
        return {root.resolve().name: root}
    folders = {name: path for name, path in subfolders(root).items() if (path / "JPEGImages").is_dir()}
    # Other data sets that lie side by side have a JPEGImages each, too.
    return {
        name: path
        for name, path in folders.items()
        if name.removesuffix(_ALL_FRAMES) in _SUBSETS or (path / "meta.json").is_file()
    }


def _objects(path: Path) -> Objects:
    """Video name to object id to what is known of it; empty without the file, as in the test folders."""
    if not path.exists():
        return {}
    try:
        videos: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["videos"]
        return {
            name: {
                int(number): ObjectInfo(
                    category=entry.get("category"), frames=tuple(str(stem) for stem in entry.get("frames", ()))
                )
                for number, entry in video["objects"].items()
            }
            for name, video in videos.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise AnnotationError(
            f"{path}: the objects of the videos cannot be read",
            why=f"{type(error).__name__}: {error}",
            fix='restore the file: {"videos": {name: {"objects": {id: {"category": ..., "frames": [...]}}}}}',
        ) from error


def _refuse_equal_names(names: list[str], root: Path) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise SourceError(
            f"{root}: {len(twice)} videos lie in two subsets: {some(twice)}",
            why="the videos of one data set go by their names",
            fix="open one subset at a time",
        )
