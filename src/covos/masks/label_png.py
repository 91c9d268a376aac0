"""Label maps as files: written as DAVIS palette PNG, read from what people have."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from covos.errors import AnnotationError
from covos.masks.ids import ids_of_picture, interpolated, split_alpha
from covos.masks.interpolation import looks_interpolated
from covos.masks.palette import davis_palette
from covos.masks.picture import open_mask
from covos.runtime.atomic import atomic_path

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from covos.types import LabelArray, MaskArray

_MOST_OBJECTS = 254


def write_label_map(path: Path, labels: LabelArray, *, palette: NDArray[np.uint8] | None = None) -> None:
    """Write ids as a palette PNG (mode P, 8 bits, index = object id). An existing file is replaced.

    Args:
        path: The file, in an existing folder; whatever its suffix, the content is PNG.
        labels: H x W uint8 ids.
        palette: 256 x 3 uint8 colours; the DAVIS palette if not given.

    Raises:
        ValueError: ``labels`` is not H x W uint8 with at least one pixel.
        EnvironmentProblem: The disk is full or not writable; no half-written file is left.
    """
    if labels.dtype != np.uint8 or labels.ndim != 2 or labels.size == 0:
        raise ValueError(f"labels must be H x W uint8, not {labels.shape} {labels.dtype}")
    image = Image.fromarray(np.ascontiguousarray(labels))
    image.putpalette((davis_palette() if palette is None else palette).tobytes())
    with atomic_path(path) as temporary:
        # A label map is runs of equal bytes: looking for nothing else is faster and gives smaller files.
        image.save(temporary, format="PNG", compress_type=zlib.Z_RLE)


def read_label_map(path: Path) -> LabelArray:
    """Read object ids as they are stored.

    The values are *raw*: a grey 0/255 mask gives the ids 0 and 255. In the annotations of several objects 255 means
    void, in the masks of one object it means the object, and the file does not say which: a caller that expects one
    object calls :func:`read_binary_mask`.

    Args:
        path: A PNG, BMP, TIFF or WebP file of mode P, L, LA, 1, 16-bit grey, RGB or RGBA
            (see :func:`covos.masks.ids.ids_of_picture` for what each gives); a GIF counts as RGB.

    Returns:
        H x W uint8, 0 = background.

    Raises:
        AnnotationError: The file is missing or damaged, holds foreign colours or values, is a JPEG, or looks as if
            it was resized with interpolation.
    """
    image = _open_lossless(path)
    labels = ids_of_picture(image, path=path)
    _refuse_interpolated(labels, path)
    return labels


def read_binary_mask(path: Path) -> MaskArray:
    """Read the mask of one object: what is not zero (not black, not transparent) is the object.

    This is the convention of DAVIS 2016. Several ids become one object, 255 too; colours need not be of a palette.

    Args:
        path: As for :func:`read_label_map`.

    Returns:
        H x W bool.

    Raises:
        AnnotationError: The file is missing, damaged or a JPEG, or is soft: then where the object ends is the
            user's to say, and the half-transparent rim must not become object in silence.
    """
    image, alpha = split_alpha(_open_lossless(path))
    values: NDArray[np.integer[Any]] = np.asarray(image)
    if alpha is not None:
        values = alpha
    elif values.ndim == 3:
        values = values.max(axis=2)
    eight_bits = values if values.max() <= 255 else values // 256
    _refuse_interpolated(eight_bits.astype(np.uint8), path)
    mask: MaskArray = values != 0
    return mask


def _open_lossless(path: Path) -> Image.Image:
    image = open_mask(path)
    if image.format in {"JPEG", "MPO"}:
        raise AnnotationError(
            f"cannot read object ids from {path}",
            why="it is a JPEG, which changes the values along every contour",
            fix="export the mask as PNG",
        )
    # Programs that write GIF renumber its palette freely: there only the colours mean something.
    return image.convert("RGB") if image.format == "GIF" else image


def _refuse_interpolated(labels: LabelArray, path: Path) -> None:
    if looks_interpolated(labels):
        count = len(np.unique(labels))
        error = interpolated(path, why=f"{count} values, many only along contours: it looks resized with interpolation")
        if count > _MOST_OBJECTS:
            error.fix += f"; if each is an object, split the map: {_MOST_OBJECTS} are the most, as 255 is void"
        raise error
