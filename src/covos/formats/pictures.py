"""Formats with a picture a frame: ``matte`` (soft and grey), ``rgba`` (with alpha) and ``cutout`` (cropped)."""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from covos.core.errors import UsageError
from covos.core.files import atomic_path
from covos.core.types import Colour, FrameResult, LabelArray
from covos.formats.alpha import grey_levels, rgba_of
from covos.formats.arrays_on_disk import ArraysOnDisk
from covos.formats.base import Bits, Format
from covos.formats.compose import ComposedResult
from covos.formats.composition import with_options

_MARGIN_PER_DIAGONAL = 1 / 100
_BEHIND_IHDR = 33
"""Bytes of a PNG before its second chunk."""
_WEBP = ".webp"
_WEBP_SIDE = 16383
_Box = tuple[int, int, int, int]
"""left, top, right, bottom in pixels; right and bottom are one further."""


def write_png(path: Path, pixels: NDArray[Any], *, colour: Colour | None = None) -> None:
    """Write pixels as they are, whole or not at all: grey, RGB, or RGBA with straight alpha; uint8 or uint16.

    Colours of 16 bits may be others than those of sRGB: the file then states them (``cICP``; PNG 3, 11.3.2.6).
    """
    with atomic_path(path) as temporary:
        if pixels.dtype == np.uint16 and pixels.ndim == 3:  # Pillow has no such pictures
            order = [2, 1, 0, 3][: pixels.shape[2]]
            how = [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
            content = cv2.imencode(".png", pixels[..., order], how)[1].tobytes()
            if colour is not None:
                # RGB of full range.
                said = b"cICP" + bytes([colour.primaries, colour.transfer, 0, 1])
                chunk = struct.pack(">I", 4) + said + struct.pack(">I", zlib.crc32(said))
                content = content[:_BEHIND_IHDR] + chunk + content[_BEHIND_IHDR:]
            temporary.write_bytes(content)
            return
        # Alpha is mostly runs of equal bytes, and the detail of a photograph has no repeats to look for: searching
        # only for runs is faster and gives files of the same size.
        Image.fromarray(np.ascontiguousarray(pixels)).save(temporary, format="PNG", compress_type=zlib.Z_RLE)


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


class _OfBits(Format):
    """A picture a frame, of 8 or 16 bits."""

    own_sizes = True
    shape = "a picture a frame"
    picture_suffixes = (".png",)
    choices: ClassVar[tuple[str, ...]] = ("8", "16")
    offers: ClassVar[str] = "it has 8 or 16 bits"
    flags: ClassVar[tuple[str, ...]] = ("invert",)
    composes: ClassVar[Mapping[str, str]] = {"invert": "invert"}

    @classmethod
    def check_value(cls, value: str) -> None:
        """Accept one of its choices, and ``invert``."""
        main, options = cls.parsed(value)
        if main not in cls.choices and not (options and not main):
            name, others = cls.name, " or ".join(f"{cls.name}={each}" for each in cls.choices[1:])
            raise UsageError(
                f"{name}={value}", why=cls.offers, fix=f"write {name}, {others}; invert may follow: {name}=16,invert"
            )

    @classmethod
    def bits_of(cls, value: str | None) -> Bits:
        """Return the value's."""
        return 16 if cls.parsed(value)[0] == "16" else 8

    @property
    def _bits(self) -> Bits:
        return self.bits_of(self._value)


class MatteFormat(_OfBits):
    """``matte/<stem>.png``: the probability that each pixel belongs to the subject, as computed; white is certain.

    It is the opacity if mattes were asked for. It has 8 bits, or 16 as ``matte=16``.
    """

    name = output = "matte"

    @classmethod
    def size_of(cls, value: str | None) -> float:
        """Return a size for 16 bits; 8 bits are small."""
        return 0.53 if cls.bits_of(value) == 16 else 0.0

    def _add(self, result: FrameResult) -> None:
        grey = grey_levels(self._seen(result).soft, bits=self._bits)
        write_png(self._folder.file(f"{self.output}/{result.frame.stem}.png"), grey)


class RgbaFormat(_OfBits):
    """``rgba/<stem>.png``: the subject with straight alpha, at 8 bits, or at 16 as ``rgba=16``.

    Under the alpha lie the source's colours: whoever softens or grows it finds them there. ``rgba=webp`` writes WebP
    without a loss, ``rgba/<stem>.webp``.
    """

    name = output = "rgba"
    choices = ("8", "16", "webp")
    offers = "it is a PNG of 8 or 16 bits, or WebP"
    has_alpha = True
    bytes_per_pixel = 0.68

    @classmethod
    def size_of(cls, value: str | None) -> float:
        """Return a size for 16 bits that is four times as large, since their low bytes are noise; WebP takes less."""
        kinds = {"16": 4 * cls.bytes_per_pixel, "webp": 0.55}
        return kinds.get(cls.parsed(value)[0], cls.bytes_per_pixel)

    @classmethod
    def still_suffixes(cls, value: str | None) -> tuple[str, ...]:
        """Return that of PNG or WebP."""
        return (_WEBP,) if cls.parsed(value)[0] == "webp" else cls.picture_suffixes

    @classmethod
    def value_for(cls, suffix: str, value: str | None) -> str | None:
        """Ask for WebP beside all else, if the file is to be one and nothing else is said."""
        main, options = cls.parsed(value)
        return with_options("webp", dict.fromkeys(options, True)) if suffix == _WEBP and not main else value

    def _add(self, result: FrameResult) -> None:
        composed = self._seen(result)
        (suffix,) = self.still_suffixes(self._value)
        path = self._folder.file(f"{self.output}/{result.frame.stem}{suffix}")
        if suffix == _WEBP:
            write_webp(path, composed.rgba)
        elif self._bits == 16:
            write_png(path, rgba_of(composed, deep=True))
        else:
            write_png(path, composed.rgba)


class CutoutFormat(Format):
    """The subject cropped, a PNG with alpha a frame, ``cutout/<stem>.png``, and ``cutout/box.json``.

    One box for the whole clip holds the subject in every frame: pictures of one size, in which the subject moves as it
    does in the clip. A box of its own for each frame would be smaller and would jump. ``box.json`` says where the box
    lies in the source, so that the pictures can be put back. Frames are put aside until the box is known. Outside the
    subject's own box a frame is transparent black.
    """

    name = output = "cutout"
    has_alpha = True
    shape = "a picture a frame"
    picture_suffixes = (".png",)
    bytes_per_pixel = 0.53
    _parts: ArraysOnDisk | None = None

    def _add(self, result: FrameResult) -> None:
        if self._parts is None:
            self._box_file = self._folder.file(f"{self.output}/box.json")
            self._parts = ArraysOnDisk(self._folder.path)
            self._boxes: list[tuple[str, _Box | None]] = []
        box = _subject_box(result.labels)
        if box is not None:
            left, top, right, bottom = box
            self._parts.append(ComposedResult.of(result).rgba[top:bottom, left:right])
        self._boxes.append((result.frame.stem, box))

    def _finish(self) -> Path:
        assert self._parts is not None
        height, width = self._info.height, self._info.width
        boxes = [box for _, box in self._boxes if box is not None] or [(0, 0, width, height)]
        lefts, tops, rights, bottoms = zip(*boxes, strict=True)
        left, top, right, bottom = min(lefts), min(tops), max(rights), max(bottoms)
        parts = iter(self._parts)
        for stem, box in self._boxes:
            picture: NDArray[np.uint8] = np.zeros((bottom - top, right - left, 4), np.uint8)
            if box is not None:
                picture[box[1] - top : box[3] - top, box[0] - left : box[2] - left] = next(parts)
            write_png(self._folder.file(f"{self.output}/{stem}.png"), picture)
        content = {"left": left, "top": top, "width": right - left, "height": bottom - top}
        frame = {"frame_width": width, "frame_height": height}
        with atomic_path(self._box_file) as temporary:
            temporary.write_text(json.dumps(content | frame) + "\n", encoding="utf-8")
        self._parts.close()
        return super()._finish()

    def _abandon(self) -> None:
        if self._parts is not None:
            self._parts.close()


def _subject_box(labels: LabelArray) -> _Box | None:
    """Return the smallest box around all objects and the soft edges beside them; None if there are none."""
    x, y, width, height = cv2.boundingRect((labels != 0).view(np.uint8))
    if not width:
        return None
    margin = math.ceil(math.hypot(*labels.shape) * _MARGIN_PER_DIAGONAL)
    rows, columns = labels.shape
    return max(0, x - margin), max(0, y - margin), min(columns, x + width + margin), min(rows, y + height + margin)
