"""One image file to the RGB array that a viewer would see."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from covos.errors import SourceError
from covos.media import limits

if TYPE_CHECKING:
    from pathlib import Path

    from covos.types import ImageArray

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
_FORMATS = ("BMP", "JPEG", "PNG", "TIFF", "WEBP")  # JPEG brings multi-picture files (MPO) along
_DAMAGE = (OSError, SyntaxError, ValueError, TypeError, EOFError, IndexError, struct.error)
_ORIENTATION = 0x0112
_SIDEWAYS = frozenset({5, 6, 7, 8})  # EXIF orientations that swap height and width


def natural_key(name: str) -> tuple[tuple[int, int | str], ...]:
    """Sort key under which ``frame2`` comes before ``frame10``."""
    parts = re.split(r"(\d+)", name)
    return tuple((0, int(part)) if part.isdecimal() else (1, part) for part in parts if part)


def is_image(path: Path) -> bool:
    """Whether the content, not the suffix, is of an image format with a single picture.

    A GIF is left to the video reader, and so is an animated PNG.
    """
    try:
        with Image.open(path, formats=_FORMATS) as image:
            return image.format != "PNG" or not getattr(image, "is_animated", False)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return True
    except _DAMAGE:
        return False


def image_header(path: Path) -> tuple[int, int, str]:
    """(height, width, format) as displayed, without decoding the pixels.

    The orientation of a PNG may be stored after its pixels and is not looked for.

    Raises:
        SourceError: Not a readable image, or one too large.
    """
    try:
        with Image.open(path, formats=_FORMATS) as image:
            width, height = image.size
            kind = (image.format or "").lower()
            limits.check_pixels(str(path), height=height, width=width)
            if kind in {"webp", "tiff"} and getattr(image, "n_frames", 1) > 1:
                raise SourceError(
                    f"{path}: it holds several pictures",
                    why=f"animated or multi-page {image.format} files are not read",
                    fix="convert it to mp4, or to a folder of PNG files",
                )
            # Pillow turns the size of a TIFF by itself; for a PNG it would have to decode the pixels first.
            if kind not in {"png", "tiff"} and image.getexif().get(_ORIENTATION) in _SIDEWAYS:
                width, height = height, width
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(path, error) from error
    except _DAMAGE as error:
        raise _unreadable(path, error) from error
    return height, width, kind


def read_image(path: Path) -> ImageArray:
    """Read an image, with its EXIF orientation applied.

    Palettes and greys become RGB, 16 bits are reduced to 8, alpha is dropped and the colour under it kept.

    Returns:
        H x W x 3 uint8 RGB.

    Raises:
        SourceError: The file is not an image, is damaged, too large, or holds floating-point pixels.
    """
    try:
        with Image.open(path, formats=_FORMATS) as image:
            limits.check_pixels(str(path), height=image.height, width=image.width)
            return _rgb(ImageOps.exif_transpose(image), path)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(path, error) from error
    except _DAMAGE as error:
        raise _unreadable(path, error) from error


def _rgb(image: Image.Image, path: Path) -> ImageArray:
    if image.mode == "F":
        raise SourceError(
            f"{path}: its pixels are floating-point numbers",
            why="they have no agreed range to bring to 0..255",
            fix="save it with 8 or 16 bits a channel",
        )
    if image.mode.startswith("I"):
        # Pillow clips 16-bit greys when it converts them; their high byte is what is meant.
        grey = (np.asarray(image).clip(0, 65535) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    return np.array(image.convert("RGB"))


def _too_large(path: Path, error: Exception) -> SourceError:
    return SourceError(
        f"{path}: the image is too large",
        why=str(error),
        fix=f"scale it down to at most {limits.MAX_PIXELS} pixels",
    )


def _unreadable(path: Path, error: Exception) -> SourceError:
    return SourceError(
        f"{path}: the image cannot be read",
        why=str(error).splitlines()[0] if str(error) else type(error).__name__,
        fix="open it in a viewer; write it again, or remove it",
    )
