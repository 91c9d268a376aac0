"""Read folders of mask pictures: one a frame (palette, grey ids or 0/255), or a folder of them for each object."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path

from covos.masks import RLE, encode, read_binary_mask, read_label_map
from covos.media.images import IMAGE_SUFFIXES, natural_key
from covos.outputs.frame_mask import objects_of
from covos.outputs.readers.base import Gathered, MasksRead, numbered
from covos.types import LabelArray, MaskArray

VOID = 255


def mask_files(folder: Path) -> list[Path]:
    """The pictures in a folder, in natural order of their names; hidden files are left out."""
    files = [path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()]
    return sorted((path for path in files if not path.name.startswith(".")), key=lambda path: natural_key(path.name))


def object_folders(folder: Path) -> list[Path]:
    """The folders in a folder that are named by a number and hold pictures, in order."""
    folders = [path for path in folder.iterdir() if path.name.isdecimal() and path.is_dir() and mask_files(path)]
    return sorted(folders, key=lambda path: int(path.name))


def read_pictures(folder: Path) -> MasksRead:
    """Read every mask of a folder.

    Where no value but 0 and 255 occurs in any file, 255 is the one object. Else 255 means void, as in annotations of
    several objects, and counts as background.

    Args:
        folder: With at least one picture.

    Raises:
        AnnotationError: A file is damaged, or is no clean label map.
        DamagedError: The pictures have different sizes.
    """
    frames = []
    for index, path in enumerate(mask_files(folder)):
        labels = read_label_map(path)
        objects: dict[Hashable, RLE] = dict(objects_of(labels).items())
        frames.append(Gathered(index=index, stem=path.stem, size=_size(labels), objects=objects))
    is_binary = {key for frame in frames for key in frame.objects} == {VOID}
    for frame in frames:
        void = frame.objects.pop(VOID, None)
        if is_binary and void is not None:
            frame.objects[1] = void
    return MasksRead(format="binary" if is_binary else "palette", path=folder, frames=numbered(frames))


def read_object_folders(folder: Path) -> MasksRead:
    """Read the black and white masks of each object; one without a file for a frame is not in that frame.

    Args:
        folder: With at least one folder of an object, named by its id.

    Raises:
        AnnotationError: A file is damaged or soft.
        DamagedError: The pictures have different sizes, or there are too many objects.
    """
    frames: dict[str, Gathered] = {}
    for objects in object_folders(folder):
        for path in mask_files(objects):
            mask = read_binary_mask(path)
            frame = frames.get(path.stem) or Gathered(index=0, stem=path.stem, size=_size(mask), objects={})
            frame.add(int(objects.name), encode(mask))
            frames[path.stem] = frame
    ordered = [frames[stem] for stem in sorted(frames, key=natural_key)]
    for index, frame in enumerate(ordered):
        frame.index = index
    return MasksRead(format="binary", path=folder, frames=numbered(ordered))


def _size(array: LabelArray | MaskArray) -> tuple[int, int]:
    return int(array.shape[0]), int(array.shape[1])
