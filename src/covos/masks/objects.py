"""From a mask file to the objects that it shows, whatever way people have stored them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from covos.errors import AnnotationError
from covos.masks.fit import fit_labels
from covos.masks.ids import present_ids
from covos.masks.label_png import read_label_map

if TYPE_CHECKING:
    from pathlib import Path

    from covos.types import LabelArray, MaskArray

VOID = 255
NAMELESS = 0
"""Stands for the id of an object whose file gives it none: a 0/255 mask."""


def read_objects(path: Path, *, size: tuple[int, int], resize: bool = False) -> dict[int, MaskArray]:
    """The mask of each object in a file.

    Args:
        path: See `covos.masks.read_label_map`.
        size: (height, width) of the frame.
        resize: Whether a file of another size may be resized (nearest neighbour).

    Returns:
        Object id to H x W bool, ascending. A mask of the values 0 and 255 alone is one object, with the key
        `NAMELESS`; beside other ids, 255 is void and no object.

    Raises:
        AnnotationError: The file cannot be read, has another size, or shows no object.
    """
    labels = read_label_map(path)
    objects = objects_in(fit_labels(labels, size=size, path=path, resize=resize))
    if objects:
        return objects
    raise AnnotationError(
        f"{path} shows no object",
        why="its objects are too small to be left after resizing" if labels.any() else "every pixel is background",
        fix="export it at the frame's size" if labels.any() else "give a mask with an object in it, or leave it out",
    )


def objects_in(labels: LabelArray) -> dict[int, MaskArray]:
    """Object id to mask; see `read_objects`."""
    ids = present_ids(labels)
    if ids == [VOID]:
        return {NAMELESS: labels == VOID}
    return {identity: labels == identity for identity in ids if identity != VOID}
