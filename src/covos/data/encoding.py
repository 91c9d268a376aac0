"""Tell what the values of a data set's annotations mean, from a few of its files."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np

from covos.core.errors import AnnotationError
from covos.core.places import Place
from covos.core.words import Words
from covos.data.base import Encoding
from covos.masks.label_files import open_mask

_LOOKED_AT = 8
_MOST_OBJECTS = 32
"""A grey file with a value between this and 255 is a matte: id maps in grey number their objects from 1."""


def detect_encoding(annotations: Sequence[Place], *, root: Place) -> Encoding:
    """Judge the meaning of the values from up to eight annotations that are not empty.

    Colour pictures (mode P with a colour palette, RGB) hold ids, unless all they hold is 0 and 255. Grey ones hold a
    binary mask if they are 0 and 255, ids if no other value is above 32, and a soft mask if one is.
    """
    # Those first that lie evenly over the data set: files are opened only until enough are judged.
    step = max(1, len(annotations) // _LOOKED_AT)
    tries = range(min(step, _LOOKED_AT))  # a set of empty masks must not be read whole
    spread = [path for start in tries for path in annotations[start::step]]
    judged = ((path, found) for path in spread if (found := _encoding_of(path)))
    seen: dict[Encoding, Place] = {}
    for path, found in islice(judged, _LOOKED_AT):
        seen.setdefault(found, path)
    if seen.keys() <= {"binary", "soft"}:
        # A soft file among binary ones: read as soft, 0 and 255 give the same 0 and 1.
        return "soft" if "soft" in seen else "binary" if seen else "ids"
    if len(seen) == 1:
        return "ids"
    (one, first), (other, second) = list(seen.items())[:2]
    raise AnnotationError(
        f"{root}: its annotations are of different kinds",
        why=f"{first} looks like {one}, {second} like {other}",
        fix="say which holds for all of them: "
        + Words("--encoding ids", python='encoding="ids"')
        + ", binary or soft; or split the data set",
    )


def _encoding_of(path: Place) -> Encoding | None:
    """Judge one file; None if it is empty (all 0) or unreadable."""
    try:
        image = open_mask(path)
    except AnnotationError:
        return None  # whoever reads or inspects this file meets the error
    colour = image.mode == "P" and not _grey(np.array(image.getpalette(), np.uint8).reshape(-1, 3))
    if image.mode in {"RGB", "RGBA"}:
        pixels = np.asarray(image.convert("RGB"))
        colour, values = not _grey(pixels), pixels.max(axis=2)
    else:
        values = np.asarray(image if image.mode == "P" else image.convert("L"))
    used = {int(value) for value in np.unique(values)} - {0}
    if not used:
        return None
    if used == {255}:
        return "binary"
    return "ids" if colour or max(used - {255}) <= _MOST_OBJECTS else "soft"


def _grey(colours: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bool:
    return bool((colours == colours[..., :1]).all())
