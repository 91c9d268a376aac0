"""Formats with a picture a frame: ``matte`` (soft and grey), ``rgba`` (with alpha) and ``cutout`` (cropped)."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Mapping
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from covos.core.errors import UsageError
from covos.core.files import atomic_path
from covos.core.records import write_json
from covos.core.types import Colour, FrameResult
from covos.formats.alpha import grey_levels, rgba_of
from covos.formats.arrays_on_disk import ArraysOnDisk
from covos.formats.base import Bits, Destination
from covos.formats.compose import ComposedResult
from covos.formats.composition import PLAIN_ALPHA, with_options
from covos.formats.each import EachObjectFormat

_MARGIN_PER_DIAGONAL = 1 / 100
_SQUARE = Fraction(1)
_BEHIND_IHDR = 33
"""Bytes of a PNG before its second chunk."""
_WEBP = ".webp"
_WEBP_SIDE = 16383
_Box = tuple[int, int, int, int]
"""left, top, right, bottom in pixels; right and bottom are one further."""


def write_png(
    path: Path, pixels: NDArray[Any], *, colour: Colour | None = None, pixel_aspect: Fraction = _SQUARE
) -> None:
    """Write pixels as they are, whole or not at all: grey, RGB, or RGBA with straight alpha; uint8 or uint16.

    Colours of 16 bits may be others than those of sRGB: the file then states them (``cICP``; PNG 3, 11.3.2.6). Pixels
    that are not square are stated, too (``pHYs``, 11.3.4.3).
    """
    chunks = b""
    if pixel_aspect != 1:  # pixels a unit, across and down, of a unit that is not known
        chunks = _chunk(b"pHYs", struct.pack(">IIB", pixel_aspect.denominator, pixel_aspect.numerator, 0))
    with atomic_path(path) as temporary:
        if pixels.dtype == np.uint16 and pixels.ndim == 3:  # Pillow has no such pictures
            order = [2, 1, 0, 3][: pixels.shape[2]]
            how = [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
            content = cv2.imencode(".png", pixels[..., order], how)[1].tobytes()
            if colour is not None:
                # RGB of full range.
                chunks = _chunk(b"cICP", bytes([colour.primaries, colour.transfer, 0, 1])) + chunks
            temporary.write_bytes(content[:_BEHIND_IHDR] + chunks + content[_BEHIND_IHDR:])
            return
        # Alpha is mostly runs of equal bytes, and the detail of a photograph has no repeats to look for: searching
        # only for runs is faster and gives files of the same size.
        Image.fromarray(np.ascontiguousarray(pixels)).save(temporary, format="PNG", compress_type=zlib.Z_RLE)
        if chunks:
            content = temporary.read_bytes()
            temporary.write_bytes(content[:_BEHIND_IHDR] + chunks + content[_BEHIND_IHDR:])


def _chunk(name: bytes, content: bytes) -> bytes:
    said = name + content
    return struct.pack(">I", len(content)) + said + struct.pack(">I", zlib.crc32(said))


def write_webp(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write RGB or RGBA as WebP, without a loss, also under the alpha; whole or not at all.

    Raises:
        UsageError: It is too large.
    """
    if max(pixels.shape) > _WEBP_SIDE:
        raise UsageError(
            f"{path} of {pixels.shape[1]}x{pixels.shape[0]} pixels",
            why=f"a WebP has at most {_WEBP_SIDE} on a side",
            fix="write PNG or TIFF",
        )
    with atomic_path(path) as temporary:
        # More effort saves less than a tenth in four times the time, and a fifth in twelve times (768x432, one frame).
        Image.fromarray(pixels).save(temporary, format="WEBP", lossless=True, exact=True, method=0, quality=0)


class _OfBits(EachObjectFormat):
    """A picture a frame, of 8 or 16 bits; with ``each``, a folder for each object."""

    own_sizes = True
    shape = "a picture a frame"
    picture_suffixes = (".png",)
    choices: ClassVar[tuple[str, ...]] = ("8", "16")
    offers = "it has 8 or 16 bits"

    @classmethod
    def _remedy(cls, main: str) -> str:
        others = " or ".join(f"{cls.name}={each}" for each in cls.choices[1:])
        return f"write {cls.name}, {others}; each, invert or plain may follow: {cls.name}=16,invert"

    @classmethod
    def bits_of(cls, value: str | None) -> Bits:
        """Return the value's."""
        return 16 if cls.parsed(value)[0] == "16" else 8

    @property
    def _bits(self) -> Bits:
        return self.bits_of(self._value)

    def _file(self, name: str, file: str) -> Path:
        """Return the place of a file of an object, or of the whole subject if there is no name."""
        return self._folder.file(f"{self.output}/{name}/{file}" if name else f"{self.output}/{file}")


class MatteFormat(_OfBits):
    """``matte/<stem>.png``: the probability that each pixel belongs to the subject, as computed; white is certain.

    It is the opacity if mattes were asked for. It has 8 bits, or 16 as ``matte=16``.
    """

    name = output = "matte"
    has_colours = False

    @classmethod
    def size_of(cls, value: str | None) -> float:
        """Return a size for 16 bits; 8 bits are small."""
        return 0.53 if cls.bits_of(value) == 16 else 0.0

    def _add_named(self, name: str, result: FrameResult) -> None:
        grey = grey_levels(self._seen(result).soft, bits=self._bits)
        write_png(self._file(name, f"{result.frame.stem}.png"), grey, pixel_aspect=self._info.pixel_aspect)


class RgbaFormat(_OfBits):
    """``rgba/<stem>.png``: the subject with straight alpha, at 8 bits, or at 16 as ``rgba=16``.

    Under the alpha lie the source's colours: whoever softens or grows it finds them there. ``rgba=webp`` writes WebP
    without a loss, ``rgba/<stem>.webp``. ``rgba=hdr`` keeps HDR and BT.2020 at 16 bits, and states them.
    """

    name = output = "rgba"
    choices = ("8", "16", "webp")
    offers = "it is a PNG of 8 or 16 bits, or WebP"
    has_alpha = True
    bytes_per_pixel = 0.68
    flags: ClassVar[tuple[str, ...]] = ("each", "hdr", "invert", PLAIN_ALPHA)
    composes: ClassVar[Mapping[str, str]] = {**_OfBits.composes, "keep_hdr": "hdr"}

    @classmethod
    def check_value(cls, value: str) -> None:
        """Refuse HDR in pictures of 8 bits as well."""
        super().check_value(value)
        main, options = cls.parsed(value)
        if "hdr" in options and main not in {"", "16"}:
            raise UsageError(f"{cls.name}={value}", why="HDR needs 16 bits", fix=f"write {cls.name}=16,hdr")

    @classmethod
    def size_of(cls, value: str | None) -> float:
        """Return a size for 16 bits that is four times as large, since their low bytes are noise; WebP takes less."""
        main, options = cls.parsed(value)
        kinds = {"16": 4 * cls.bytes_per_pixel, "webp": 0.55}
        return kinds.get("16" if "hdr" in options else main, cls.bytes_per_pixel)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Also what could not be kept of HDR, and pixels that are not square."""
        lost = self._lost_aspect if self._is_webp else ()
        return *super().warnings, *lost, *self._hdr_notes

    @property
    def _is_webp(self) -> bool:
        return self.parsed(self._value)[0] == "webp"

    @classmethod
    def still_suffixes(cls, value: str | None) -> tuple[str, ...]:
        """Return that of PNG or WebP."""
        own = super().still_suffixes(value)
        return (_WEBP,) if own and cls.parsed(value)[0] == "webp" else own

    @classmethod
    def value_for(cls, suffix: str, value: str | None) -> str | None:
        """Ask for WebP beside all else, if the file is to be one and nothing else is said."""
        main, options = cls.parsed(value)
        return with_options("webp", dict.fromkeys(options, True)) if suffix == _WEBP and not main else value

    def _add_named(self, name: str, result: FrameResult) -> None:
        composed = self._seen(result)
        path = self._file(name, f"{result.frame.stem}{_WEBP if self._is_webp else '.png'}")
        aspect = self._info.pixel_aspect
        if self._is_webp:
            write_webp(path, composed.rgba)
        elif self._keeps_hdr:
            deep = rgba_of(composed.unmapped, deep=True)
            write_png(path, deep, colour=self._told.colour, pixel_aspect=aspect)
        else:
            rgba = rgba_of(composed, deep=True) if self._bits == 16 else composed.rgba
            write_png(path, rgba, pixel_aspect=aspect)


class CutoutFormat(EachObjectFormat):
    """The subject cropped, a PNG with alpha a frame, ``cutout/<stem>.png``, and ``cutout/box.json``.

    One box for the whole clip holds the subject in every frame: pictures of one size, in which the subject moves as it
    does in the clip. A box of its own for each frame would be smaller and would jump. ``box.json`` says where the box
    lies in the source, so that the pictures can be put back. Frames are put aside until the box is known. Outside the
    subject's own box a frame is transparent black. With ``each``, each object has a folder, with a box of its own.
    """

    name = output = "cutout"
    has_alpha = True
    shape = "a picture a frame"
    picture_suffixes = (".png",)
    bytes_per_pixel = 0.53
    flags: ClassVar[tuple[str, ...]] = ("each", PLAIN_ALPHA)
    composes: ClassVar[Mapping[str, str]] = {"each_object": "each"}

    def _add_named(self, name: str, result: FrameResult) -> None:
        if name not in self._crops:
            place = f"{self.output}/{name}" if name else self.output
            self._crops[name] = _Crop(self._folder, place, pixel_aspect=self._info.pixel_aspect)
        self._crops[name].add(ComposedResult.of(result))

    def _finish(self) -> Path:
        for crop in self._crops.values():
            crop.write(frame_size=(self._info.height, self._info.width))
        return super()._finish()

    def _abandon(self) -> None:
        for crop in self._crops.values():
            crop.close()

    @cached_property
    def _crops(self) -> dict[str, _Crop]:
        return {}


class _Crop:
    """The pictures of one folder, put aside until all have been seen: then the box that holds them all is known."""

    def __init__(self, folder: Destination, place: str, *, pixel_aspect: Fraction) -> None:
        self._folder, self._place, self._aspect = folder, place, pixel_aspect
        self._box_file = folder.file(f"{place}/box.json")
        self._parts = ArraysOnDisk(folder.path)
        self._boxes: list[tuple[str, _Box | None]] = []

    def add(self, composed: ComposedResult) -> None:
        """Put what is seen of a frame aside."""
        box = _subject_box(composed)
        if box is not None:
            left, top, right, bottom = box
            self._parts.append(composed.rgba[top:bottom, left:right])
        self._boxes.append((composed.frame.stem, box))

    def write(self, *, frame_size: tuple[int, int]) -> None:
        """Write the pictures, and the box; of size (height, width) if nothing is seen in any."""
        height, width = frame_size
        boxes = [box for _, box in self._boxes if box is not None] or [(0, 0, width, height)]
        lefts, tops, rights, bottoms = zip(*boxes, strict=True)
        left, top, right, bottom = min(lefts), min(tops), max(rights), max(bottoms)
        parts = iter(self._parts)
        for stem, box in self._boxes:
            picture: NDArray[np.uint8] = np.zeros((bottom - top, right - left, 4), np.uint8)
            if box is not None:
                picture[box[1] - top : box[3] - top, box[0] - left : box[2] - left] = next(parts)
            write_png(self._folder.file(f"{self._place}/{stem}.png"), picture, pixel_aspect=self._aspect)
        content = {"left": left, "top": top, "width": right - left, "height": bottom - top}
        frame = {"frame_width": width, "frame_height": height}
        write_json(content | frame, self._box_file, indent=None)
        self.close()

    def close(self) -> None:
        """Remove what was put aside."""
        self._parts.close()


def _subject_box(composed: ComposedResult) -> _Box | None:
    """Return the smallest box around all objects, with a margin, and all that is not clear; None if nothing is seen.

    A feathered edge and a matte's hair may reach beyond the margin.
    """
    rows, columns = composed.labels.shape
    margin = math.ceil(math.hypot(rows, columns) * _MARGIN_PER_DIAGONAL)
    boxes = []
    for seen, more in ((composed.labels, margin), (composed.alpha, 0)):
        x, y, width, height = cv2.boundingRect((seen != 0).view(np.uint8))
        if width:
            boxes.append((x - more, y - more, x + width + more, y + height + more))
    if not boxes:
        return None
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return max(0, min(lefts)), max(0, min(tops)), min(columns, max(rights)), min(rows, max(bottoms))
