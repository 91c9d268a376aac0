"""Read and write mask files: label maps as DAVIS palette PNG, and whatever people have."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from covos.core.errors import AnnotationError, UsageError
from covos.core.files import atomic_path
from covos.core.guarded import read_guarded
from covos.core.limits import limits, raising
from covos.core.pillow import without_own_limit
from covos.core.signatures import PNG
from covos.core.words import Words
from covos.masks.object_ids import (
    by_colour,
    davis_palette,
    ids_of_picture,
    interpolated,
    looks_interpolated,
    split_alpha,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from covos.core.places import Place
    from covos.core.types import LabelArray, MaskArray

_FORMATS = ("PNG", "BMP", "GIF", "TIFF", "WEBP", "JPEG", "PPM")
_PALETTE_COLOUR = 3
_MOST_OBJECTS = 254
_MOST_CHUNKS = 100_000


def open_mask(path: Place) -> Image.Image:
    """Decode a picture file, whatever its name, whole, with its own mode kept (palette indices stay indices)."""
    content = read_guarded(
        path, what=f"cannot read the mask {path}", fix="check the path; a mask is a picture file", error=AnnotationError
    )
    # Pillow does not verify every checksum, and gives a picture for a palette file without a palette.
    if content.startswith(PNG) and (fault := _png_fault(content)):
        raise _unreadable(path, fault)
    try:
        with without_own_limit():
            image = Image.open(io.BytesIO(content), formats=_FORMATS)
        pixels = image.width * image.height
        if pixels > limits().pixels:  # before a pixel is decoded: a small file may hold any number of them
            raise _unreadable(
                path,
                f"it is {image.width}x{image.height}, and {limits().pixels} pixels are read",
                fix=raising("pixels", pixels),
            )
        image.load()
    except (MemoryError, AnnotationError):
        raise
    except Exception as error:  # on damaged bytes Pillow's decoders raise errors of many kinds
        reason = " ".join(str(error).split()) or type(error).__name__
        if content.lstrip()[:1] in (b"{", b"["):
            raise _unreadable(path, "it is JSON, not a picture", fix=as_pictures(path)) from error
        raise _unreadable(path, "not a picture" if isinstance(error, UnidentifiedImageError) else reason) from error
    return image


def _png_fault(content: bytes) -> str | None:
    """Find the fault in the chunks of a whole PNG file, its structure and checksums, not its pixels; None if sound."""
    position, seen, colour_type, chunks = len(PNG), set[bytes](), None, 0
    while position + 12 <= len(content):
        if (chunks := chunks + 1) > _MOST_CHUNKS:
            return f"it is a PNG of more than {_MOST_CHUNKS} chunks, which no program writes"
        length, kind = struct.unpack_from(">I4s", content, position)
        end = position + 12 + length
        if end > len(content):
            break
        name = kind.decode("latin-1")
        (checksum,) = struct.unpack_from(">I", content, end - 4)
        if zlib.crc32(content[position + 4 : end - 4]) != checksum:
            return f"damaged: wrong checksum in the PNG chunk {name!r} at byte {position}"
        if kind == b"IHDR" and length == 13:
            colour_type = content[position + 8 + 9]
        if kind == b"IDAT" and colour_type == _PALETTE_COLOUR and b"PLTE" not in seen:
            return "damaged: a palette PNG without its palette (no PLTE chunk)"
        seen.add(kind)
        if kind == b"IEND":
            return None
        position = end
    return "damaged: the PNG file ends early"


def as_pictures(path: Place) -> str:
    """Say how annotations, such as a COCO file, become pictures, which can be given as masks."""
    return f"if it holds annotations, run covos convert {path} -f palette first, and give one of the pictures"


def _unreadable(path: Place, why: str, *, fix: str | Words = "export the mask again, as PNG") -> AnnotationError:
    return AnnotationError(f"cannot read the mask {path}", why=why, fix=fix)


def check_labels(labels: LabelArray) -> None:
    """Refuse what is no H x W uint8 of ids, with a UsageError."""
    if labels.dtype != np.uint8 or labels.ndim != 2 or labels.size == 0:
        raise UsageError(
            f"labels must be H x W uint8, not {labels.shape} {labels.dtype}",
            why="each pixel has the id of an object, 0 to 255",
            fix="convert them first: labels.astype(np.uint8)",
        )


def write_label_map(path: Path, labels: LabelArray) -> None:
    """Write H x W uint8 ids as a PNG of mode P with the DAVIS palette. An existing file is replaced.

    Raises:
        UsageError: They are no such ids.
    """
    check_labels(labels)
    image = Image.fromarray(np.ascontiguousarray(labels))
    image.putpalette(davis_palette().tobytes())
    with atomic_path(path) as temporary:
        # A label map is runs of equal bytes: looking for nothing else is faster and gives smaller files.
        image.save(temporary, format="PNG", compress_type=zlib.Z_RLE)


def read_label_map(path: Place) -> LabelArray:
    """Read object ids, H x W uint8 (0 = background), as they are stored; see `covos.masks.object_ids.ids_of_picture`.

    A grey 0/255 mask gives the ids 0 and 255. The file does not say if 255 means void or the one object: a caller that
    expects one object calls :func:`read_binary_mask`. A JPEG, foreign colours or values, and maps that look as if they
    were resized with interpolation are refused, whatever palette they have.
    """
    image = _open_lossless(path)
    labels = ids_of_picture(image, path=path)
    _refuse_interpolated(labels, path)
    return labels


def read_binary_mask(path: Place) -> MaskArray:
    """Read the H x W bool mask of one object: every pixel that is not zero (not black, not transparent).

    This is the convention of DAVIS 2016. Several ids become one object, 255 too; colours need not be of a palette. A
    JPEG or a soft mask is refused: where its object ends is the user's to say.
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


def _open_lossless(path: Place) -> Image.Image:
    image = open_mask(path)
    if image.format in {"JPEG", "MPO"}:
        raise AnnotationError(
            f"cannot read object ids from {path}",
            why="it is a JPEG, which changes the values along every contour",
            fix="export the mask as PNG",
        )
    # Programs that write GIF renumber its palette freely: there only the colours mean something.
    if image.format == "GIF":
        return image.convert("RGB")
    return by_colour(image, path=path) if image.mode == "P" else image


def _refuse_interpolated(labels: LabelArray, path: Place) -> None:
    if looks_interpolated(labels):
        count = len(np.unique(labels))
        error = interpolated(path, why=f"{count} values, many only along contours: it looks resized with interpolation")
        if count > _MOST_OBJECTS:
            error.remedy += f"; if each is an object, split the map: {_MOST_OBJECTS} are the most, as 255 is void"
        raise error


def fit_labels(
    labels: LabelArray,
    *,
    size: tuple[int, int],
    path: Place,
    resize: bool = False,
    own_size: Callable[[], tuple[int, int]] | None = None,
) -> LabelArray:
    """Return the label map itself if it has the frame's (height, width), else a resized copy if asked for.

    Resizing takes the nearest neighbour: ids are never mixed. Without ``resize``, another size is an `AnnotationError`;
    but ``own_size`` may name one more: that of the frame itself, in a video whose size changes.
    """
    height, width = labels.shape
    if (height, width) == size:
        return labels
    if resize or (own_size is not None and own_size() == (height, width)):
        return cv2.resize(labels, (size[1], size[0]), interpolation=cv2.INTER_NEAREST_EXACT).astype(labels.dtype)
    rotated = (width, height) == size
    raise AnnotationError(
        f"{path} does not have the size of its frame",
        why=f"the mask is {width}x{height}, the frame {size[1]}x{size[0]}" + (" (rotated?)" if rotated else ""),
        fix="rotate the mask as the frame is displayed"
        if rotated
        else "export it at that size; " + Words("beside --mask, --resize-masks", python="resize=True") + " resizes it",
    )
