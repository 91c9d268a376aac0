"""Formats of hard masks as PNG files, and their reader: ``palette``, and ``binary`` with a folder for each object."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path

import numpy as np

from covos.core.errors import AnnotationError
from covos.core.types import FrameResult, LabelArray, MaskArray
from covos.formats.base import ReadableFormat
from covos.formats.mask_tree import (
    MASKS,
    frames_of,
    mask_files,
    masks_home,
    object_files,
    places_of,
    read_objects_of,
)
from covos.formats.mattes import read_matte_pictures
from covos.formats.pictures import write_png
from covos.formats.reading import MaskInput, MasksRead, ReadFrame, numbered
from covos.masks import RLE, VOID, encode, present_ids, read_label_map, write_label_map
from covos.masks.frame_mask import objects_of

_ONLY = 1  # the id that a subject without a name has


class PaletteFormat(ReadableFormat):
    """``masks/<stem>.png``: the index of a pixel is its object's id, as DAVIS, YouTube-VOS and most tools have it.

    Each file is whole or absent at any moment, so that a run that stops leaves every earlier frame usable.
    """

    name = "palette"
    own_sizes = True
    output = MASKS
    shape = "a label map a frame"
    picture_suffixes = (".png",)
    labels_only = True
    needs_pictures = False
    read_as = "mask pictures"

    def _add(self, result: FrameResult) -> None:
        write_label_map(self._folder.file(f"{self.output}/{result.frame.stem}.png"), result.labels)

    @classmethod
    def recognise(cls, masks: MaskInput) -> bool:
        """Return True for a folder with a picture a frame."""
        return masks.path.is_dir() and bool(mask_files(masks_home(masks.path)))

    @classmethod
    def read(cls, masks: MaskInput) -> MasksRead:
        """Read every mask of a folder: palette, grey ids or 0/255; or an opacity, if they are none of these.

        If no file has a value but 0 and 255, 255 is the one object. Else 255 means void, as in annotations of several
        objects, and counts as background.
        """
        folder = masks_home(masks.path)
        frames = []
        files = mask_files(folder)
        for index, (stem, path) in zip(places_of([*files]), files.items(), strict=True):
            try:
                labels = read_label_map(path)
            except AnnotationError:
                if (mattes := read_matte_pictures(folder, files, doubted=path)) is not None:
                    return mattes
                raise
            objects: dict[Hashable, RLE] = dict(objects_of(labels).items())
            frames.append(ReadFrame(index=index, stem=stem, size=_size(labels), objects=objects))
        is_binary = {key for frame in frames for key in frame.objects} == {VOID}
        for frame in frames:
            void = frame.objects.pop(VOID, None)
            if is_binary and void is not None:
                frame.objects[_ONLY] = void
        name = BinaryFormat.name if is_binary else cls.name
        return MasksRead(format=name, path=folder, frames=numbered(frames))


class BinaryFormat(ReadableFormat):
    """``binary/<id>/<stem>.png``: 0 and 255; every object has a file for every frame, black where it is not there.

    An object that first appears later gets the black masks of the earlier frames then. A source in which nothing was
    found has the folder of object 1, all black.
    """

    name = output = "binary"
    own_sizes = True
    shape = "a picture a frame and object"
    labels_only = True
    needs_pictures = False
    read_as = "black and white pictures"

    def _add(self, result: FrameResult) -> None:
        if not self._written:
            self._stems: list[tuple[str, tuple[int, int]]] = []
            self._ids: set[int] = set()
        for identity in present_ids(result.labels):
            if identity not in self._ids:
                self._begin(identity)
        self._stems.append((result.frame.stem, result.frame.size))
        for identity in sorted(self._ids):
            mask = (result.labels == identity).view(np.uint8) * np.uint8(255)
            write_png(self._folder.file(f"{self.output}/{identity}/{result.frame.stem}.png"), mask)

    def _finish(self) -> Path:
        if not self._ids:
            self._begin(_ONLY)
        return super()._finish()

    def _begin(self, identity: int) -> None:
        self._ids.add(identity)
        for stem, size in self._stems:
            write_png(self._folder.file(f"{self.output}/{identity}/{stem}.png"), np.zeros(size, np.uint8))

    @classmethod
    def recognise(cls, masks: MaskInput) -> bool:
        """Return True for a folder with numbered folders of pictures."""
        return masks.path.is_dir() and bool(object_files(masks_home(masks.path)))

    @classmethod
    def read(cls, masks: MaskInput) -> MasksRead:
        """Read the masks of each object; one without a file for a frame is not in that frame."""
        folder = masks_home(masks.path)
        objects = object_files(folder)
        frames = []
        stems = frames_of(objects)
        for index, stem in zip(places_of(stems), stems, strict=True):
            found = read_objects_of(objects, stem)
            frame = ReadFrame(index=index, stem=stem, size=_size(next(iter(found.values()))))
            for identity, mask in found.items():
                frame.add(identity, encode(mask))
            frames.append(frame)
        return MasksRead(format=cls.name, path=folder, frames=numbered(frames))


def _size(array: LabelArray | MaskArray) -> tuple[int, int]:
    return int(array.shape[0]), int(array.shape[1])
