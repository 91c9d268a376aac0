"""``palette``: a palette PNG a frame, ``masks/<stem>.png``; the index of a pixel is its object's id."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path

import numpy as np

from covos.core.types import FrameResult, LabelArray, MaskArray, SourceInfo
from covos.formats.base import Destination
from covos.formats.pictures import write_png
from covos.formats.reading import Gathered, MasksRead, numbered
from covos.masks import RLE, VOID, encode, present_ids, read_binary_mask, read_label_map, write_label_map
from covos.masks.frame_mask import objects_of
from covos.media.images import IMAGE_SUFFIXES, natural_key

MASKS = "masks"


class PaletteWriter:
    """Writes label maps as DAVIS, YouTube-VOS and most tools read them.

    Each file is whole or absent at any moment, so that a run that stops leaves every earlier frame usable.
    """

    name = "palette"
    labels_only = True
    warnings: tuple[str, ...] = ()

    def __init__(self, folder: Destination, *, info: SourceInfo, source_path: Path) -> None:
        self._folder = folder
        self._written = 0

    def write(self, result: FrameResult) -> None:
        """Write the frame's mask."""
        write_label_map(self._folder.file(f"{MASKS}/{result.frame.stem}.png"), result.labels)
        self._written += 1

    def close(self) -> tuple[Path, ...]:
        """The folder of the masks."""
        return (self._folder.path / MASKS,) if self._written else ()

    def abort(self) -> None:
        """Nothing is open."""


# ``binary``: a black and white PNG a frame and object, ``binary/<id>/<stem>.png``.

_ONLY = 1  # the id that a subject without a name has


class BinaryWriter:
    """0 and 255; every object has a file for every frame, black where it is not there.

    An object that first appears later gets the black masks of the earlier frames then. A source in which nothing was
    found has the folder of object 1, all black.
    """

    name = "binary"
    labels_only = True
    warnings: tuple[str, ...] = ()

    def __init__(self, folder: Destination, *, info: SourceInfo, source_path: Path) -> None:
        self._folder = folder
        self._size = info.height, info.width
        self._stems: list[str] = []
        self._ids: set[int] = set()
        self._is_closed = False

    def write(self, result: FrameResult) -> None:
        """Write the frame's mask of each object known so far."""
        for identity in present_ids(result.labels):
            if identity not in self._ids:
                self._begin(identity)
        stem = result.frame.stem
        for identity in sorted(self._ids):
            mask = (result.labels == identity).view(np.uint8) * np.uint8(255)
            write_png(self._folder.file(f"{self.name}/{identity}/{stem}.png"), mask)
        self._stems.append(stem)

    def close(self) -> tuple[Path, ...]:
        """The folder of the objects' folders."""
        if not self._stems:
            return ()
        if not self._ids and not self._is_closed:
            self._begin(_ONLY)
        self._is_closed = True
        return (self._folder.path / self.name,)

    def abort(self) -> None:
        """Nothing is open."""
        self._is_closed = True

    def _begin(self, identity: int) -> None:
        self._ids.add(identity)
        black = np.zeros(self._size, np.uint8)
        for stem in self._stems:
            write_png(self._folder.file(f"{self.name}/{identity}/{stem}.png"), black)


# Read folders of mask pictures: one a frame (palette, grey ids or 0/255), or a folder of them for each object.


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
