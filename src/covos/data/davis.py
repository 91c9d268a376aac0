"""DAVIS 2016 and 2017.

The tree:

    ROOT/JPEGImages/480p/<video>/<frame>.jpg
    ROOT/Annotations/480p/<video>/<frame>.png               0/255 (2016) or object ids (2017)
    ROOT/Annotations_unsupervised/480p/...                  the unsupervised task of 2017, where there is no other
    ROOT/ImageSets/480p/train.txt, val.txt                  2016: pairs of files, or names
    ROOT/ImageSets/2016/*.txt, ImageSets/2017/*.txt         names
"""

from __future__ import annotations

from covos.core.errors import SourceError, listed
from covos.core.places import Place, name_of
from covos.data.base import Options
from covos.data.dataset import Dataset
from covos.data.trees import choose, present, read_lists, read_sequences, subfolders

LOOKS_LIKE = "JPEGImages/480p/<video>/<frame>.jpg with Annotations/480p/<video>/<frame>.png"
RESOLUTIONS = ("480p", "1080p", "Full-Resolution")
VALIDATION_OF_2016 = ("2016/val", "val", "val_open")
"""Lists that results for 2016 are published on: the first there is."""
_ANNOTATIONS = ("Annotations", "Annotations_unsupervised")


def matches(root: Place) -> bool:
    """Return True if the images or annotations lie in a folder named after a resolution."""
    return bool(_resolutions(root))


def name_in_2016(root: Place, subset: str | None) -> str | None:
    """Return the name by which a list of 2016 is opened: DAVIS 2016 and 2017 have lists of one name."""
    has_own = subset is not None and (root / f"ImageSets/2016/{subset}.txt").is_file()
    return f"2016/{subset}" if has_own else subset


def read(root: Place, options: Options) -> Dataset:
    """Open a DAVIS tree.

    ``options.subset`` is the name of a list (``val``: in the 2017 lists if there are any, else 2016's, else those of
    the resolution), or of a folder and a list (``2016/val``).
    """
    resolution = _resolution(root, wanted=options.resolution)
    images = root / "JPEGImages" / resolution
    usual, unsupervised = (root / name / resolution for name in _ANNOTATIONS)
    annotations = unsupervised if unsupervised.is_dir() and not usual.is_dir() else usual
    lists, subset = _lists(root, resolution=resolution, subset=options.subset)
    subsets, notes = choose(lists, subset=subset, present=present(images, annotations), root=root)
    videos = read_sequences(subsets, images=images, annotations=annotations, encoding=options.encoding)
    return Dataset(name=name_of(root), layout="davis", root=root, videos=videos, notes=notes)


def _lists(root: Place, *, resolution: str, subset: str | None) -> tuple[dict[str, tuple[str, ...]], str | None]:
    """Return the lists of the one folder of ImageSets to look in, and the name of the list among them."""
    folders = {name: read_lists(path) for name, path in subfolders(root / "ImageSets").items()}
    found = {name: lists for name, lists in {**folders, "": read_lists(root / "ImageSets")}.items() if lists}
    first = {name: None for name in ("2017", "2016", resolution, "") if name in found}
    order = [*(first | dict.fromkeys(found))]
    if subset is None:
        return (found[order[0]] if order else {}), None
    folder, _, name = subset.rpartition("/")
    for candidate in [folder] if folder else order:
        if name in found.get(candidate, {}):
            return found[candidate], name
    # By the names that are to be typed: the folder goes before where another one's list of that name is taken.
    typed: dict[str, tuple[str, ...]] = {}
    for folder in order:
        for name, members in found[folder].items():
            typed[f"{folder}/{name}" if folder and name in typed else name] = members
    return typed, subset


def _resolutions(root: Place) -> list[str]:
    folders = [root / name for name in ("JPEGImages", *_ANNOTATIONS)]
    return [name for name in RESOLUTIONS if any((folder / name).is_dir() for folder in folders)]


def _resolution(root: Place, *, wanted: str | None) -> str:
    have = _resolutions(root)
    if wanted in have:
        return wanted
    if wanted is None and have:
        return have[0]
    raise SourceError(
        f"{root}: no DAVIS images at the resolution {wanted or RESOLUTIONS[0]}",
        why=f"JPEGImages and Annotations have: {listed(have)}; looked for {LOOKS_LIKE}",
        fix="name a resolution that the tree has, or another layout",
    )
