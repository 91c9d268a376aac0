"""TIANCHI, and any video set with one folder of images and one of annotations for each video.

The tree:

    ROOT/ImageSets/train.txt, test.txt     one video a line (older copies: text.txt)
    ROOT/JPEGImages/<video>/<frame>.jpg    videos have ids of six digits
    ROOT/Annotations/<video>/<frame>.png   palette PNG, one id a person; test videos have the first frame's alone
"""

from __future__ import annotations

from covos.core.places import Place, name_of
from covos.data.base import Options
from covos.data.dataset import Dataset
from covos.data.davis import RESOLUTIONS
from covos.data.trees import choose, has_pictures, present, read_lists, read_sequences, subfolders

LOOKS_LIKE = "JPEGImages/<video>/<frame>.jpg with Annotations/<video>/<frame>.png"
_OLD_TEST_LIST = "text"


def matches(root: Place) -> bool:
    """Return True if images (or annotations) lie in folders, and the tree is no DAVIS or YouTube-VOS."""
    if (root / "meta.json").exists():
        return False
    videos = subfolders(root / "JPEGImages") or subfolders(root / "Annotations")
    return not set(videos) & set(RESOLUTIONS) and any(has_pictures(folder) for folder in videos.values())


def read(root: Place, options: Options) -> Dataset:
    """Open a TIANCHI tree."""
    images, annotations = root / "JPEGImages", root / "Annotations"
    lists = read_lists(root / "ImageSets")
    if _OLD_TEST_LIST in lists:
        lists.setdefault("test", lists[_OLD_TEST_LIST])
        if options.subset != _OLD_TEST_LIST:
            del lists[_OLD_TEST_LIST]
    subsets, notes = choose(lists, subset=options.subset, present=present(images, annotations), root=root)
    videos = read_sequences(subsets, images=images, annotations=annotations, encoding=options.encoding)
    return Dataset(name=name_of(root), layout="tianchi", root=root, videos=videos, notes=notes)
