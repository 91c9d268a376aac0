"""Open a mask file with Pillow, or say in one line why it cannot be read."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING

from PIL import Image, UnidentifiedImageError

from covos.errors import AnnotationError

if TYPE_CHECKING:
    from pathlib import Path

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_FORMATS = ("PNG", "BMP", "GIF", "TIFF", "WEBP", "JPEG")
_PALETTE_COLOUR = 3


def open_mask(path: Path) -> Image.Image:
    """Decode a picture file whole, with its own mode kept (palette indices stay indices).

    PNG files are checked chunk by chunk first: Pillow does not verify every checksum, and gives a picture for a
    palette file without a palette.

    Args:
        path: A PNG, BMP, GIF (its first frame), TIFF, WebP or JPEG file, told by content.

    Raises:
        AnnotationError: The file is missing, is no picture, is damaged or is too large.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else error.strerror or str(error)
        raise _unreadable(path, reason, fix="check the path") from error
    if content.startswith(_SIGNATURE) and (fault := png_fault(content)):
        raise _unreadable(path, fault)
    try:
        image = Image.open(io.BytesIO(content), formats=_FORMATS)
        image.load()
    except MemoryError:
        raise
    except Exception as error:  # on damaged bytes Pillow's decoders raise errors of many kinds
        reason = "not a picture" if isinstance(error, UnidentifiedImageError) else one_line(error)
        raise _unreadable(path, reason) from error
    return image


def png_fault(content: bytes) -> str | None:
    """What is wrong with the chunks of a PNG file: its structure and checksums, not its pixels.

    Args:
        content: The whole file, signature included.

    Returns:
        One line, or None for a sound file.
    """
    position, seen, colour_type = len(_SIGNATURE), set[bytes](), None
    while position + 12 <= len(content):
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


def one_line(error: Exception) -> str:
    """An error of a library as one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _unreadable(path: Path, why: str, *, fix: str = "export the mask again, as PNG") -> AnnotationError:
    return AnnotationError(f"cannot read the mask {path}", why=why, fix=fix)
