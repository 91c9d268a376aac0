"""YouTube-VOS 2018 and 2019.

    ROOT/<subset>/JPEGImages/<video>/<frame>.jpg     subset: train, valid, test, and *_all_frames
    ROOT/<subset>/Annotations/<video>/<frame>.png    object ids, every fifth frame; objects may appear late
    ROOT/<subset>/meta.json                          category and frames of each object

ROOT may also be one of the subset folders.
"""

from __future__ import annotations

from collections import Counter

from covos.core.errors import AnnotationError, SourceError, listed
from covos.core.places import Place, name_of
from covos.core.records import Record, read_record
from covos.data.base import NoSubsetError, ObjectInfo, Options
from covos.data.dataset import Dataset
from covos.data.trees import natural, present, read_sequences, subfolders
from covos.data.video import Video

LOOKS_LIKE = "train/JPEGImages/<video>/<frame>.jpg with train/Annotations and train/meta.json (likewise valid, test)"
_ALL_FRAMES = "_all_frames"
_SUBSETS = frozenset({"train", "val", "valid", "test"})


class _VideoMeta(Record):
    objects: dict[int, ObjectInfo]


class _Meta(Record):
    videos: dict[str, _VideoMeta]


def matches(root: Place) -> bool:
    """Return True if a meta.json lies beside JPEGImages, or folders such as ``train`` hold a JPEGImages."""
    return bool(_subsets(root))


def read(root: Place, options: Options) -> Dataset:
    """Open a YouTube-VOS tree.

    Without a subset, the ``*_all_frames`` folders are left out: they hold the videos of their namesakes again, at the
    full frame rate.
    """
    folders = _subsets(root)
    if options.subset is not None and options.subset not in folders:
        raise NoSubsetError(
            f"{root}: the subset {options.subset!r} does not exist",
            why=f"folders with JPEGImages: {listed(folders, shown=4)}; looked for {LOOKS_LIKE}",
            fix="name one of them, or leave the subset out to open all videos",
        )
    notes = []
    if options.subset is not None:
        folders = {options.subset: folders[options.subset]}
    elif left_out := [name for name in folders if name.endswith(_ALL_FRAMES)]:
        names = listed(left_out, shown=4)
        notes.append(f"left out, as they hold videos of other folders again: {names} (name one to open it)")
        folders = {name: path for name, path in folders.items() if name not in left_out} or folders
    videos: list[Video] = []
    for subset, folder in folders.items():
        objects = _objects(folder / "meta.json")
        images, annotations = folder / "JPEGImages", folder / "Annotations"
        subsets = dict.fromkeys(natural(present(images, annotations)), subset)
        if missing := natural(objects.keys() - subsets.keys()):
            meta = folder / "meta.json"
            notes.append(f"{len(missing)} videos of {meta} are missing: {listed(missing, shown=4)}")
        videos += read_sequences(
            subsets, images=images, annotations=annotations, encoding=options.encoding or "ids", objects=objects
        )
    twice = [name for name, count in Counter(video.name for video in videos).items() if count > 1]
    if twice:
        raise SourceError(
            f"{root}: {len(twice)} videos lie in two subsets: {listed(twice, shown=4)}",
            why="the videos of one data set go by their names",
            fix="open one subset at a time",
        )
    return Dataset(name=name_of(root), layout="youtube-vos", root=root, videos=tuple(videos), notes=tuple(notes))


def _subsets(root: Place) -> dict[str, Place]:
    if (root / "meta.json").is_file() and (root / "JPEGImages").is_dir():
        return {name_of(root): root}
    folders = {name: path for name, path in subfolders(root).items() if (path / "JPEGImages").is_dir()}
    # Other data sets that lie side by side have a JPEGImages each, too.
    return {
        name: path
        for name, path in folders.items()
        if name.removesuffix(_ALL_FRAMES) in _SUBSETS or (path / "meta.json").is_file()
    }


def _objects(path: Place) -> dict[str, dict[int, ObjectInfo]]:
    """Return video name to object id to what is known of the object; empty without the file, as in the test folders."""
    if not path.exists():
        return {}
    meta = read_record(
        _Meta,
        path,
        what=f"{path}: the objects of the videos cannot be read",
        fix='restore the file: {"videos": {name: {"objects": {id: {"category": ..., "frames": [...]}}}}}',
        error=AnnotationError,
    )
    return {name: video.objects for name, video in meta.videos.items()}
