"""Read one image file as the picture that a viewer would see, whatever its format, depth and alpha."""

from __future__ import annotations

import re
import struct
from contextlib import contextmanager, suppress
from importlib import import_module
from io import BufferedReader, BytesIO
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from covos.core.errors import EnvironmentProblem, SourceError
from covos.core.guarded import open_guarded, read_guarded
from covos.core.pillow import without_own_limit
from covos.core.signatures import PNG
from covos.media import source
from covos.media.apng import is_damaged_png, is_torn_apng
from covos.media.depth import Deep, deep_pixels
from covos.media.jpeg import START, completed, is_damaged, is_motion_jpeg
from covos.media.openexr import BITS, is_openexr, openexr_as_pq, openexr_pixels, openexr_sizes
from covos.media.picture import Picture, as_picture, is_alpha_used
from covos.media.profiles import in_srgb
from covos.media.tags import PQ_BT2020, hdr_of_rgb
from covos.media.tones import Transfer, tone, transfer_of
from covos.media.webp import is_animated_webp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from covos.core.places import Place
    from covos.core.types import Colour, ImageArray

LOSSY_SUFFIXES = frozenset({".avif", ".heic", ".heif", ".jfif", ".jpe", ".jpeg", ".jpg"})
"""Suffixes of formats that change values: no masks."""
LIGHT_SUFFIXES = frozenset({".exr"})
"""Suffixes of formats that hold light: no masks either."""
MASK_SUFFIXES = frozenset({".bmp", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"})
"""Suffixes of formats that keep values as they are."""
IMAGE_SUFFIXES = LOSSY_SUFFIXES | LIGHT_SUFFIXES | MASK_SUFFIXES
ImageKind: TypeAlias = Literal["still", "animated", "video"]

_FORMATS = ("AVIF", "BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # JPEG brings multi-picture files (MPO) along
# A warning is raised where the user turns warnings into errors.
_DAMAGE = (OSError, SyntaxError, ValueError, TypeError, EOFError, IndexError, RuntimeError, struct.error, Warning)
_STATING_TONES = frozenset({"AVIF", "HEIF", "PNG"})
_ORIENTATION = 0x0112
_SUBFILE_TYPE, _PARTS = 0x00FE, 0x014A
_EMPTY = "the file is empty"
_SIDEWAYS = frozenset({5, 6, 7, 8})  # EXIF orientations that swap height and width
_WITH_ALPHA = frozenset({"LA", "PA", "RGBA", "La", "RGBa"})
_HEAD = 1 << 16

# Brands of ISO/IEC 23008-12 for pictures coded as HEVC; sequences of them have others.
_HEIC = frozenset({b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2"})
_AVIF, _AVIF_SEQUENCE = b"avif", b"avis"


def natural_key(name: str) -> tuple[tuple[int, int | str], ...]:
    """Return a sort key under which ``frame2`` comes before ``frame10``."""
    parts = re.split(r"(\d+)", name)
    return tuple((0, int(part)) if part.isdecimal() else (1, part) for part in parts if part)


def kind_of(path: Path) -> ImageKind:
    """Tell by its content, not its suffix, if a file is a still picture, an animation for Pillow, or one for FFmpeg.

    GIFs, animated PNGs without a hole, animated AVIFs without alpha, and photographs one after another (Motion JPEG)
    are for FFmpeg.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if is_openexr(head):
        return "still"
    brands = _brands(head)
    if _is_heic(head) or _AVIF in brands:
        return "still" if _AVIF_SEQUENCE not in brands else "animated" if _has_alpha(path) else "video"
    try:
        with without_own_limit():
            opened = Image.open(path, formats=_FORMATS)
        with opened as image:
            kind, several = image.format, bool(getattr(image, "is_animated", False))
        if (kind == "WEBP" and several) or is_torn_apng(path):
            return "animated"
        return "video" if (kind == "PNG" and several) or (kind == "JPEG" and is_motion_jpeg(path)) else "still"
    except _DAMAGE:
        if is_animated_webp(head) or is_torn_apng(path):
            return "animated"
        # Pillow refuses texts and profiles that swell; its reason is reported where the picture is read.
        return "still" if head.startswith(PNG) and b"acTL" not in head else "video"


def _has_alpha(path: Path) -> bool:
    """Return True if Pillow reads an AVIF, and finds alpha in it."""
    try:
        with without_own_limit():
            opened = Image.open(path, formats=("AVIF",))
        with opened as image:
            return image.mode == "RGBA"
    except _DAMAGE:
        return False


def image_header(path: Place) -> tuple[int, int, str]:
    """Return (height, width, format) as displayed, without decoding the pixels."""
    if (sizes := _openexr_sizes(path)) is not None:
        return *sizes[0], "exr"
    with opened_image(path) as image:
        width, height = image.size
        kind = (image.format or "").lower()
        # Several pictures of a HEIC or MPO file are views beside the first, not frames.
        if kind in {"avif", "png", "tiff", "webp"} and getattr(image, "n_frames", 1) > 1:
            raise SourceError(
                f"{path}: it holds several pictures",
                why=f"an animated or multi-page {image.format} file is no frame of a video",
                fix="give it alone, if it is animated; else convert it to a folder of PNG files",
            )
        # Pillow turns the size of a TIFF by itself; for a PNG it would have to decode the pixels first.
        if kind not in {"png", "tiff"} and image.getexif().get(_ORIENTATION) in _SIDEWAYS:
            width, height = height, width
        return height, width, kind


def read_image(path: Place) -> ImageArray:
    """Read an image as H x W x 3 uint8 RGB, as `read_picture` does; where it is transparent, grey shows through."""
    return read_picture(path).image


def read_picture(path: Place, *, bits: int | None = None, uses_alpha: bool | None = None) -> Picture:
    """Read an image with its alpha; its EXIF orientation is applied.

    Palettes and greys become RGB, other colour profiles sRGB, HDR ordinary, tiles of AVIF and HEIC one picture. Up to
    16 bits are reduced to 8 by the depth that the file states, or that its values show (see `covos.media.depth`).

    Args:
        path: The file.
        bits: Depth of samples that are stored in 16 bits; None finds it.
        uses_alpha: False leaves alpha out; None does so if it is not used (see `covos.media.picture.is_alpha_used`).

    Raises:
        UnreadableImageError: It is damaged, or may not be read.
        SourceError: It is too large, or of a kind that has no agreed range.
        EnvironmentProblem: It is a HEIC or OpenEXR picture, and the package that reads these is not installed.
    """
    if (light := _light(path)) is not None:
        return _as_used(_deep_pixels(light, bits=BITS, tones=None), uses_alpha)
    with opened_image(path) as opened:
        tones = _tones(path) if opened.format in _STATING_TONES else None
        deep = deep_pixels(path, opened, is_plain=tones is None)
        if deep is not None:
            return _as_used(_deep_pixels(deep, bits=bits or deep.bits, tones=tones), uses_alpha)
        image = ImageOps.exif_transpose(opened)
        if image.mode == "F":
            raise SourceError(
                f"{path}: its pixels are floating-point numbers",
                why="they have no agreed range to bring to 0..255",
                fix="save it with 8 or 16 bits a channel",
            )
        if tones is None:
            image = in_srgb(image)
        if image.mode in _WITH_ALPHA or "transparency" in image.info:
            return _as_used(np.array(image.convert("RGBA")), uses_alpha)
        pixels = np.array(image.convert("RGB"))
        return as_picture(pixels if tones is None else tone(pixels, transfer=tones[0], wide=tones[1]))


def deep_image(path: Place) -> Deep | None:
    """Return the samples of an image that has 16 bits a sample, or real numbers of light; None if it has fewer."""
    if (light := _light(path)) is not None:
        return light
    with opened_image(path) as image:
        return deep_pixels(path, image)


def deep_colours(path: Place, *, bits: int, image: ImageArray) -> NDArray[np.uint16]:
    """Return the colours of an image with all their bits, H x W x 3 uint16 of full range.

    Args:
        path: The file.
        bits: Depth of samples that are stored in 16 bits.
        image: The same at 8 bits, H x W x 3: all there is of an image with 8 bits, or of HDR, which is tone-mapped.
    """
    deep: Deep | None = None
    with suppress(SourceError, OSError):  # what is gone now was there at 8 bits
        deep = _light(path)
        if deep is None:
            with opened_image(path) as opened:
                if opened.format not in _STATING_TONES or _tones(path) is None:
                    deep = deep_pixels(path, opened)
    if deep is not None and deep.samples.shape[:2] != image.shape[:2]:
        deep = None
    return np.asarray(image.astype(np.uint16) * 257, np.uint16) if deep is None else deep.at_16_bits(bits)


def hdr_colours(path: Place, *, bits: int, image: ImageArray) -> NDArray[np.uint16]:
    """Return the colours of a picture that `hdr_of_image` finds, as it has them: H x W x 3 uint16 of full range.

    Args:
        path: The file.
        bits: Depth of samples that are stored in 16 bits.
        image: The same at 8 bits, H x W x 3, tone-mapped: all there is if the file cannot be read any more.
    """
    found: NDArray[np.uint16] | None = None
    with suppress(SourceError, OSError):
        if (content := _openexr_content(path)) is not None:
            with _explained(path):
                found = openexr_as_pq(content, name=str(path))
        else:
            with opened_image(path) as opened:
                deep = deep_pixels(path, opened, is_plain=False)
            found = None if deep is None else deep.at_16_bits(bits)
    same = found is not None and found.shape == image.shape
    return np.asarray(found if same else image.astype(np.uint16) * 257, np.uint16)


def hdr_of_image(path: Place) -> Colour | None:
    """Return the colours of a picture in HDR or BT.2020, as `hdr_colours` gives them; None of others.

    OpenEXR holds light without a bound: it is given as PQ in the primaries of BT.2020.
    """
    if _openexr_sizes(path) is not None:
        return PQ_BT2020
    with opened_image(path) as opened:
        stated = _stated_tones(path) if opened.format in _STATING_TONES else None
    return None if stated is None else hdr_of_rgb(transfer=stated[0], primaries=stated[1])


def _light(path: Place) -> Deep | None:
    """Read an OpenEXR picture; None if it is of another format."""
    if (content := _openexr_content(path)) is None:
        return None
    with _explained(path):
        return openexr_pixels(content, name=str(path))


def _openexr_content(path: Place) -> bytes | None:
    """Return the bytes of an OpenEXR picture; None of another format."""
    if _openexr_sizes(path) is None:
        return None
    what, fix = _cannot_be_read(path)
    return read_guarded(path, what=what, fix=fix, error=UnreadableImageError)


def _openexr_sizes(path: Place) -> tuple[tuple[int, int], ...] | None:
    """Return the sizes of an OpenEXR picture (see `openexr_sizes`), which can be read; None of another format."""
    what, fix = _cannot_be_read(path)
    with open_guarded(path, what=what, fix=fix, error=UnreadableImageError) as file:
        if not is_openexr(file.peek(_HEAD)):
            return None
        with _explained(path):
            sizes = openexr_sizes(file, name=str(path))
            for height, width in sizes:
                _check_size(path, height=height, width=width)
    return sizes


def _as_used(pixels: NDArray[np.uint8], uses_alpha: bool | None) -> Picture:
    return as_picture(pixels, uses_alpha=is_alpha_used(pixels) if uses_alpha is None else uses_alpha)


def _deep_pixels(deep: Deep, *, bits: int, tones: tuple[Transfer, bool] | None) -> NDArray[np.uint8]:
    pixels = deep.at_8_bits(bits)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, None], 3, axis=2)
    if tones is not None:
        pixels = np.concatenate([tone(deep.at_16_bits(bits), transfer=tones[0], wide=tones[1]), pixels[..., 3:]], 2)
    return pixels


class UnreadableImageError(SourceError):
    """An image is damaged, or may not be read."""


@contextmanager
def opened_image(path: Place, *, content: bytes | None = None) -> Iterator[Image.Image]:
    """Open an image of a size that can be read; say why one cannot be read, also if that shows inside the block.

    ``content`` is what is read in place of the file's own bytes.
    """
    what, fix = _cannot_be_read(path)
    with (
        _explained(path),
        open_guarded(path, what=what, fix=fix, error=UnreadableImageError) as file,
        _opened(file if content is None else BufferedReader(BytesIO(content)), path) as image,
    ):
        _check_size(path, height=image.height, width=image.width)
        yield image


def _cannot_be_read(path: Place) -> tuple[str, str]:
    """Return what is wrong with an image that cannot be read, and the remedy."""
    return f"{path}: the image cannot be read", "open it in a viewer; write it again, or remove it"


@contextmanager
def _explained(path: Place) -> Iterator[None]:
    """Say of which image an error of a library is."""
    try:
        yield
    except _DAMAGE as error:
        what, fix = _cannot_be_read(path)
        raise UnreadableImageError(what, why=_why(error), fix=fix) from error


def _check_size(path: Place, *, height: int, width: int) -> None:
    try:
        source.check_pixels(str(path), height=height, width=width)
    except SourceError as error:
        raise UnreadableImageError(error.what, why=error.why, fix=error.remedy) from None


def _why(error: Exception) -> str:
    """Return the reason in a line; Pillow names a file that is open by what Python holds of it."""
    if isinstance(error, UnidentifiedImageError):
        return (
            _EMPTY if str(error) == _EMPTY else "it is no picture of a kind that is read, or its beginning is damaged"
        )
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _opened(file: BufferedReader, path: Place) -> Image.Image:
    if not file.peek(1):
        raise UnidentifiedImageError(_EMPTY)
    formats, content = _formats(file, path), completed(file)
    with without_own_limit():
        image = Image.open(content, formats=formats)
    if image.format == "TIFF" and _is_preview(image):
        image.close()
        raise UnreadableImageError(
            f"{path}: it is a photograph as its camera's sensor saw it (raw, such as DNG), which is not read",
            why="the picture at its beginning is a small preview",
            fix="develop it with the camera's or another program, to JPEG, PNG or TIFF",
        )
    return image


def _is_preview(image: Image.Image) -> bool:
    """Return True if the first picture of a TIFF says that it is a smaller copy of another (TIFF 6.0, section 8)."""
    tags = getattr(image, "tag_v2", {})
    return bool(tags.get(_SUBFILE_TYPE, 0) & 1) and _PARTS in tags


def is_painted_over(path: Path) -> bool:
    """Return True if an image that was read is a JPEG or PNG with damage, where decoders put grey or rubbish."""
    with open_guarded(path, what=f"{path}: the image cannot be read", fix="open it in a viewer") as file:
        head = file.peek(len(PNG))
        if head[: len(PNG)] == PNG:
            return is_damaged_png(file.read())
        return head[: len(START)] == START and is_damaged(file.read())


def _formats(file: BufferedReader, path: Place) -> tuple[str, ...]:
    """Return the formats to try; for HEIC, load the package that reads it."""
    if not _is_heic(file.peek(_HEAD)):
        return _FORMATS
    try:
        heif = import_module("pillow_heif")
    except ImportError as error:
        raise EnvironmentProblem(
            f"{path}: HEIC pictures cannot be read",
            why="the package pillow-heif is not installed; the other libraries give single tiles of such a picture",
            fix="pip install pillow-heif, or convert it to JPEG or PNG",
        ) from error
    heif.register_heif_opener(thumbnails=False)
    return ("HEIF",)


def _brands(head: bytes) -> frozenset[bytes]:
    """Return the brands that an ISO media file states, the main one among them."""
    if head[4:8] != b"ftyp":
        return frozenset()
    end = min(int.from_bytes(head[:4], "big"), len(head))
    return frozenset({head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))})


def _is_heic(head: bytes) -> bool:
    return head[4:8] == b"ftyp" and head[8:12] in _HEIC and _AVIF not in _brands(head)


def _tones(path: Place) -> tuple[Transfer, bool] | None:
    """Find the tones that AVIF, HEIC and PNG state, if they are not ordinary."""
    stated = _stated_tones(path)
    return None if stated is None else transfer_of(transfer=stated[0], primaries=stated[1])


def _stated_tones(path: Place) -> tuple[int, int] | None:
    """Find the transfer and the primaries that AVIF, HEIC and PNG state, by the numbers of ITU-T H.273."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    at = head.find(b"colrnclx")
    if at >= 0 and _brands(head):
        primaries, transfer = struct.unpack_from(">HH", head, at + 8)
        return transfer, primaries
    at = head.find(b"cICP")
    if at >= 0 and head.startswith(PNG):
        return head[at + 5], head[at + 4]
    return None
