"""Pictures with masks: one folder of each, paired by file name.

The tree:

    ROOT/images/<name>.jpg    also image, imgs, JPEGImages, or a name that ends so (DUTS-TR-Image)
    ROOT/masks/<name>.png     also mask, gt, ground_truth_mask, Annotations, or a name that ends so (DUTS-TR-Mask)
"""

from __future__ import annotations

from covos.core.errors import SourceError
from covos.core.places import Place, name_of
from covos.data.base import APART, NoSubsetError, Options
from covos.data.dataset import Dataset
from covos.data.encoding import detect_encoding
from covos.data.trees import has_pictures, pair, pictures, subfolders
from covos.data.video import Video

LOOKS_LIKE = "images/<name>.jpg with masks/<name>.png"
_IMAGES = ("images", "image", "imgs")  # JPEGImages ends so, too
_MASKS = ("masks", "mask", "gt", "annotations")


def matches(root: Place) -> bool:
    """Return True if there is a folder of pictures and a folder of masks."""
    return bool(_folders(root, _IMAGES) and _folders(root, _MASKS))


def read(root: Place, options: Options) -> Dataset:
    """Open pictures with masks; each picture is a video of one frame."""
    if options.subset is not None:
        raise NoSubsetError(
            f"{root}: the subset {options.subset!r} does not exist",
            why="pictures with masks have no lists of subsets",
            fix="leave the subset out; " + APART,
        )
    frames, extra = pair(pictures(_only(root, _IMAGES)), pictures(_only(root, _MASKS)))
    annotations = [frame.annotation for frame in frames if frame.annotation is not None]
    if not annotations:
        raise SourceError(
            f"{root}: none of the {len(frames)} pictures has a mask",
            why="a picture and its mask go by one name, such as images/a.jpg and masks/a.png",
            fix="name the masks like the pictures",
        )
    encoding = options.encoding or detect_encoding(annotations, root=root)
    if options.encoding is None and encoding == "binary":
        encoding = "soft"  # the same values, and one smoothed contour among thousands of masks is no error
    videos = tuple(Video(name=frame.stem, frames=(frame,), kind="image", encoding=encoding) for frame in frames)
    notes = (f"{len(extra)} masks have no picture: " + ", ".join(path.name for path in extra[:4]),) if extra else ()
    return Dataset(name=name_of(root), layout="image-mask", root=root, videos=videos, notes=notes)


def _folders(root: Place, endings: tuple[str, ...]) -> list[Place]:
    return [path for name, path in subfolders(root).items() if name.lower().endswith(endings) and has_pictures(path)]


def _only(root: Place, endings: tuple[str, ...]) -> Place:
    found = _folders(root, endings)
    if len(found) == 1:
        return found[0]
    names = ", ".join(path.name for path in found) or "none"
    raise SourceError(
        f"{root}: one folder that ends in {' or '.join(endings)} and holds pictures is needed",
        why=f"found: {names}; looked for {LOOKS_LIKE}",
        fix="move the others away, or rename the folder",
    )
