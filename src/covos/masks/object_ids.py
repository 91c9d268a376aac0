"""Tell the object ids that the values of a decoded mask picture stand for, whatever way they were stored.

Between object 3 and the background, resizing with interpolation leaves a thin line of pixels 1 and 2: ids that nobody
drew. Anti-aliased drawing and soft mattes do the same between 0 and 255. Such maps are recognised and refused. A
palette proves nothing: ids are resized before they get one, and programs reduce soft pictures to a few colours.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from covos.core.errors import AnnotationError, listed

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

    from covos.core.places import Place
    from covos.core.types import LabelArray, MaskArray

VOID = 255
"""The id of pixels that are not judged, in the annotations of several objects. In a 0/255 mask it is the object."""
NAMELESS = 0
"""Stands for the id of an object whose file gives it none: a 0/255 mask."""

_MANY_COLOURS = 16
_LISTED = 4
# Share of the contour's pixels that may lie between the ids on their two sides.
_SHARE = 0.05
_SHARE_OF_SMALL_MAPS = 0.12  # below 128 pixels, thin limbs between two objects are common
_SMALL = 128
_FEW_PIXELS = 30  # two touching objects of a few pixels each must not be an alarm ...
_MANY_IDS = 5  # ... unless they come with many ids


@cache
def davis_palette() -> NDArray[np.uint8]:
    """Return the 256 colours that DAVIS, YouTube-VOS and PASCAL VOC annotations are drawn with, indexed by object id.

    Bits 0, 1 and 2 of the index are the highest bits of red, green and blue, bits 3, 4 and 5 the next, and so on
    (the VOC colormap): 0 is black, 1 (128, 0, 0), 2 (0, 128, 0), 3 (128, 128, 0), 4 (0, 0, 128).

    Returns:
        256 x 3, uint8, RGB, read-only.
    """
    palette = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        palette[:, bit % 3] |= (np.arange(256) >> bit & 1).astype(np.uint8) << (7 - bit // 3)
    palette.flags.writeable = False
    return palette


@cache
def colour_ids() -> dict[int, int]:
    """Map packed RGB (``red << 16 | green << 8 | blue``) to object ids, for masks that were saved in colour.

    Many tools write 191 where the colormap has 192; both are known here.
    """
    palette = davis_palette().astype(np.int64)
    both = np.concatenate((palette, np.where(palette == 192, 191, palette)))
    packed = both[:, 0] << 16 | both[:, 1] << 8 | both[:, 2]
    return {colour: index % 256 for index, colour in enumerate(packed.tolist())}


def present_ids(labels: LabelArray) -> list[int]:
    """List the ids that have a pixel, ascending, without the background's 0; with 255 where it is."""
    # A map is runs of equal ids: only where one ends, along its rows, a look is taken at the next.
    flat = labels.ravel()
    begins = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    counts = np.bincount(flat[begins], minlength=256)
    counts[flat[:1]] += 1
    return [int(identity) for identity in np.flatnonzero(counts) if identity]


def objects_in(labels: LabelArray) -> dict[int, MaskArray]:
    """Split a label map into one H x W bool mask for each object, by id, ascending.

    A map of the values 0 and 255 alone is one object, `NAMELESS`; beside other ids, 255 is void and no object.
    """
    ids = present_ids(labels)
    if ids == [VOID]:
        return {NAMELESS: labels == VOID}
    return {identity: labels == identity for identity in ids if identity != VOID}


def ids_of_picture(image: Image.Image, *, path: Place) -> LabelArray:
    """Return the object ids of a picture, H x W uint8, by its mode.

    ========== ==========================================================================
    mode       ids
    ========== ==========================================================================
    P          the palette index, unless the colours contradict it: see `by_colour`
    L, LA      the grey value: a 0/255 mask gives the ids 0 and 255
    1          0 and 1
    I, I;16    the value, if none is above 255
    RGB, RGBA  the colour's index in the DAVIS palette; black and white alone give 0 and 255
    ========== ==========================================================================

    With alpha, fully transparent pixels are background. All else is an `AnnotationError`.
    """
    image, opaque = split_alpha(image)
    if opaque is not None and ((opaque != 0) & (opaque != 255)).any():
        raise _half_transparent(path)
    if image.mode == "RGB":
        colours = np.asarray(image)
        if opaque is not None:
            colours = np.where(opaque[..., None] == 0, np.uint8(0), colours)
        labels = _ids_of_colours(colours, path=path)
    elif image.mode in {"P", "L", "1"}:
        labels = np.asarray(image).astype(np.uint8)
    elif image.mode.startswith("I"):
        values = np.asarray(image)
        low, high = int(values.min()), int(values.max())
        if low < 0 or high > 255:
            raise AnnotationError(
                f"{path} holds the value {low if low < 0 else high}",
                why="object ids are 0 to 254, and 255 for void",
                fix="save a 0/65535 mask with 8 bits; number objects from 1, and split a map of more than 254 into "
                "several",
            )
        labels = values.astype(np.uint8)
    else:
        raise AnnotationError(
            f"{path} holds no object ids",
            why=f"its picture mode is {image.mode}",
            fix="save the mask as a palette or grey PNG whose values are the object ids",
        )
    if opaque is not None:
        labels[opaque == 0] = 0
    return labels


_DARK, _BRIGHT = 32, 223
"""A colour below the first in all channels is black, above the second white: palettes that are fitted to a picture
hold means of its colours."""


def by_colour(image: Image.Image, *, path: Place) -> Image.Image:
    """Return a palette picture as its colours where they contradict its indices; else the picture itself.

    Many programs fit a palette to each picture, in any order. Index 0 is then white, say, and the black background is
    index 1, which would be followed in place of the object. So black, at an index that is used, has to be index 0.
    Colours that are fully transparent are background, index 0; where that is an object's, the picture is made RGBA.

    Raises:
        AnnotationError: The colours contradict the indices and say nothing themselves, two indices have each other's
            colours, or the colours are those of a soft picture.
    """
    image = _without_transparent(image, path=path)
    if image.mode != "P":
        return image
    palette = np.array(image.getpalette("RGB") or (), np.uint8).reshape(-1, 3)
    used = [index for index, count in enumerate(image.histogram()[:256]) if count and index < len(palette)]
    colours = {index: tuple(int(value) for value in palette[index]) for index in used}
    dark = [index for index in used if max(colours[index]) < _DARK]
    if not dark or 0 in dark:
        _refuse_exchanged(colours, path=path)
        if any(_packed(colour) not in colour_ids() for colour in colours.values()):
            _refuse_blended(image, path=path)
        return image
    snapped = palette.copy()
    snapped[dark] = 0
    others = [index for index in used if index not in dark]
    if all(min(colours[index]) > _BRIGHT for index in others):
        snapped[others] = 255
    elif any(_packed(colours[index]) not in colour_ids() for index in others):
        raise AnnotationError(
            f"{path} has colours that contradict its indices",
            why=f"black is index {dark[0]}, not the background's 0, and its other colours are not of the DAVIS palette",
            fix="save it as a palette or grey PNG whose values are the object ids, with 0 for the background",
        )
    coloured = image.copy()
    coloured.putpalette(snapped.tobytes())
    return coloured.convert("RGB")


def _without_transparent(image: Image.Image, *, path: Place) -> Image.Image:
    """Return a palette picture with index 0 where its palette is transparent; as RGBA if index 0 is an object's.

    Raises:
        AnnotationError: Colours that are used are half-transparent.
    """
    stored = image.info.get("transparency")
    if stored is None:
        return image
    alpha = np.full(256, 255, np.uint8)
    if isinstance(stored, bytes):
        alpha[: len(stored)] = np.frombuffer(stored, np.uint8)[:256]  # damaged files have more
    else:
        alpha[stored] = 0
    used = np.flatnonzero(image.histogram()[:256])
    if ((alpha[used] > 0) & (alpha[used] < 255)).any():
        raise _half_transparent(path)
    palette = np.array(image.getpalette("RGB") or (0, 0, 0), np.uint8).reshape(-1, 3)
    if not alpha[used].all():
        if used[0] == 0 and alpha[0] and palette[0].max() >= _DARK:
            return image.convert("RGBA")
        palette[0] = 0
    cleared = image.point([index if alpha[index] else 0 for index in range(256)])
    cleared.putpalette(palette.tobytes())
    del cleared.info["transparency"]
    return cleared


def _refuse_blended(image: Image.Image, *, path: Place) -> None:
    """Refuse a palette whose colours blend into each other along contours: a soft picture of few colours.

    The indices of such a palette come in any order, so they alone do not show it.
    """
    if looks_interpolated(np.asarray(image.convert("RGB")).max(axis=2)):
        raise interpolated(path, why="the colours of its palette blend along contours: it looks like a soft picture")


def _refuse_exchanged(colours: dict[int, tuple[int, ...]], *, path: Place) -> None:
    """Refuse objects with each other's colours, where all colours are of the DAVIS palette: others mean nothing."""
    known = {index: colour_ids().get(_packed(colour)) for index, colour in colours.items() if index}
    for index, meant in known.items():
        if meant and meant != index and meant in colours and None not in known.values():
            raise AnnotationError(
                f"{path} has colours that contradict its indices",
                why=f"index {index} has the colour of object {meant} in the DAVIS palette, and {meant} has another",
                fix="save it with the DAVIS palette, or as a grey PNG whose values are the object ids",
            )


def _packed(colour: tuple[int, ...]) -> int:
    return colour[0] << 16 | colour[1] << 8 | colour[2]


def split_alpha(image: Image.Image) -> tuple[Image.Image, NDArray[np.uint8] | None]:
    """Return the picture without alpha, and its alpha channel (None where there is none or it is fully opaque)."""
    if image.mode not in {"LA", "RGBA"}:
        return image, None
    alpha = np.asarray(image.getchannel("A"))
    return image.convert("L" if image.mode == "LA" else "RGB"), None if alpha.min() == 255 else alpha


def interpolated(path: Place, *, why: str) -> AnnotationError:
    """Make the error for a mask whose contours were smoothed."""
    return AnnotationError(
        f"{path} is not a clean label map",
        why=why,
        fix="export it again without smoothing (nearest neighbour), one value an object",
    )


def _half_transparent(path: Place) -> AnnotationError:
    return interpolated(path, why="it has half-transparent pixels: it looks anti-aliased")


def _ids_of_colours(image: NDArray[np.uint8], *, path: Place) -> LabelArray:
    packed = image[..., 0].astype(np.int32) << 16 | image[..., 1].astype(np.int32) << 8 | image[..., 2]
    colours, inverse, counts = np.unique(packed, return_inverse=True, return_counts=True)
    known = {0: 0, 0xFFFFFF: VOID} if set(colours.tolist()) <= {0, 0xFFFFFF} else colour_ids()
    foreign = [(int(count), int(colour)) for colour, count in zip(colours, counts, strict=True) if colour not in known]
    foreign.sort(reverse=True)
    shown = listed((f"({c >> 16}, {c >> 8 & 255}, {c & 255}) x {n}" for n, c in foreign), shown=_LISTED)
    if len(foreign) > _MANY_COLOURS:
        why = f"{len(foreign)} colours are not of the DAVIS palette ({shown}): it looks interpolated"
        raise interpolated(path, why=why)
    if foreign:
        raise AnnotationError(
            f"{path} has colours that are not of the DAVIS palette",
            why=shown,
            fix="save a palette or grey PNG whose values are the object ids, or use the palette's colours",
        )
    ids = np.array([known[colour] for colour in colours.tolist()], np.uint8)
    labels: LabelArray = ids[inverse.reshape(packed.shape)]
    return labels


def looks_interpolated(labels: LabelArray) -> bool:
    """Return True if many contour pixels lie *between* the ids on their two sides, with several values side by side.

    Blending 0 and 8 leaves 1 to 7 along one contour, by the place of the contour within each pixel. A rim of one id
    round another one is no blending: trackers confuse objects where they touch. So interpolation between neighbouring
    ids, which leaves one value or none in between, is not seen.
    """
    found = _between(labels)
    if found is None:
        return False
    suspect, values, allowed = found
    near = np.ones((5, 5), np.uint8)
    highest = cv2.dilate(np.where(suspect, values, np.uint8(0)), near)
    lowest = cv2.erode(np.where(suspect, values, np.uint8(255)), near)
    mixed = suspect & (lowest != highest)
    return _many(mixed, values, allowed)


def has_lines(labels: LabelArray) -> bool:
    """Return True if many contour pixels lie between the ids on their two sides, whatever left them there."""
    found = _between(labels)
    return found is not None and _many(*found)


def _many(suspect: NDArray[np.bool_], values: LabelArray, allowed: float) -> bool:
    count = int(np.count_nonzero(suspect))
    return count > allowed and (count >= _FEW_PIXELS or len(np.unique(values[suspect])) >= _MANY_IDS)


def _between(labels: LabelArray) -> tuple[NDArray[np.bool_], LabelArray, float] | None:
    """Find the pixels of contours that lie between the ids on their two sides; None if there can be none.

    A pixel is suspect if no 3 x 3 block of its own id covers it, as in a thin line, and its id is strictly between the
    lowest and the highest around it. A clean map has few of these: slivers of one object between two others.

    Returns:
        The suspects, the part of the map that they are in, and the number of them that clean maps have at most.
    """
    # One id and the background have nothing in between. Most maps of one object are done here.
    if cv2.countNonZero(labels) == np.count_nonzero(labels == labels.max()):
        return None
    small = min(labels.shape) < _SMALL
    # Background two pixels away from any object has no part in the judgement.
    x, y, w, h = cv2.boundingRect(labels)
    labels = labels[max(y - 2, 0) : y + h + 2, max(x - 2, 0) : x + w + 2]
    window = np.ones((3, 3), np.uint8)
    lowest, highest = cv2.erode(labels, window), cv2.dilate(labels, window)
    edge = lowest != highest
    in_a_block = cv2.dilate((~edge).view(np.uint8), window).view(np.bool_)
    suspect: NDArray[np.bool_] = edge & ~in_a_block & (lowest < labels) & (labels < highest)
    share = _SHARE_OF_SMALL_MAPS if small else _SHARE
    return suspect, labels, share * int(np.count_nonzero(edge))
