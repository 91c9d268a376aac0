"""Masks as every reader gives them, and the helpers by which it says that a file is no good."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from covos.core.errors import AnnotationError
from covos.core.guarded import open_guarded, parse_fraction, parse_json
from covos.core.limits import limits, raising
from covos.core.records import RecordT, faults
from covos.core.types import MaskArray
from covos.core.words import Words
from covos.masks import RLE, decode, encode
from covos.masks.frame_mask import FrameMask, labels_of
from covos.masks.polygon import polygon_to_rle
from covos.masks.soft import SoftMask

MAX_OBJECTS = 254
_FIX = "name an output folder of covos, a folder of mask pictures, or a file of masks"


class DamagedError(Exception):
    """A file cannot be read; the message says why, in one line. It is turned into an error that names the file.

    Args:
        why: The message.
        fix: The remedy; None is that of a damaged file.
    """

    def __init__(self, why: str, *, fix: str | Words | None = None) -> None:
        super().__init__(why)
        self.fix = fix


class MaskInput:
    """A file or folder of masks, as formats look at it to recognise their own."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def opened(self) -> AbstractContextManager[BufferedReader]:
        """Open the file, guarded."""
        return open_guarded(self.path, what=f"cannot read masks from {self.path}", fix=_FIX, error=AnnotationError)

    @cached_property
    def start(self) -> bytes:
        """First bytes of a file, without a byte order mark and spaces; empty for a folder."""
        if self.path.is_dir():
            return b""
        with self.opened() as file:
            return file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()

    @cached_property
    def json(self) -> Any:
        """Content of a JSON file, parsed once for all formats; None for other files and folders."""
        if not self.start.startswith((b"{", b"[")):
            return None
        try:
            with self.opened() as file:
                return parse_json(file.read())
        except ValueError as error:
            raise DamagedError(f"it is not whole JSON: {' '.join(str(error).split())}") from error


@dataclass(slots=True, kw_only=True)
class ReadFrame:
    """Masks of a frame, and what its file says of it.

    Attributes:
        index: Position among the frames of the source, as far as the file states it.
        size: (height, width) in pixels.
        stem: Name of the frame, of which a file name can be made; None where the file has no such name for each frame.
        pts: Presentation time in units of the file's time base; None where it has none.
        objects: Mask of each object that is present, by object id; until `numbered`, by whatever separates objects in
            the file.
        soft: The probability of all objects together; None where the file has masks alone.
        matte: The opacity of all objects together; None where none was made.
        feather: Pixels over which the edge was made soft on request.
    """

    index: int
    size: tuple[int, int]
    stem: str | None = None
    pts: int | None = None
    objects: dict[Any, RLE] = field(default_factory=dict)
    soft: SoftMask | None = None
    matte: SoftMask | None = None
    feather: float = 0.0

    def __post_init__(self) -> None:
        check_size(self.size)

    def take(self, masks: FrameMask) -> None:
        """Take the masks that covos itself has kept of the frame, in place of those that are there."""
        self.objects, self.soft, self.matte = dict(masks.objects), masks.soft, masks.kept_matte
        self.feather = masks.feather

    def cut_to(self, size: tuple[int, int]) -> None:
        """Take the last row or column off that an encoder of even sizes has added to a picture of this (height, width).

        Masks of other sizes stay as they are: whoever asks for the size refuses them.
        """
        rows, columns = (have - wanted for have, wanted in zip(self.size, size, strict=True))
        if {rows, columns} - {0, 1} or not rows + columns:
            return
        mask = labels_of(self.objects, size=self.size) > 0
        self.soft, self.matte = (each and each.cut_to(size, mask) for each in (self.soft, self.matte))
        self.objects = {key: encode(decode(rle)[: size[0], : size[1]]) for key, rle in self.objects.items()}
        self.size = size

    def add(self, key: Hashable, rle: RLE) -> None:
        """Add a mask; one of the same object is joined with it, an empty one left out."""
        if rle.size != self.size:
            raise DamagedError(f"a mask of frame {self.index} is {_shown(rle.size)}, the frame {_shown(self.size)}")
        if rle.area:
            known = self.objects.get(key)
            self.objects[key] = rle if known is None else encode(decode(known) | decode(rle))


@dataclass(frozen=True, slots=True, kw_only=True)
class MasksRead:
    """Masks of one file or folder.

    Attributes:
        format: Name of its format.
        path: The file or folder itself.
        frames: In order, at least one.
        time_base: Seconds per unit of ``pts``; None if the file states no times.
        is_sequence: True of a video: the first of its frames is the first of what was written, whatever its number.
    """

    format: str
    path: Path
    frames: tuple[ReadFrame, ...]
    time_base: Fraction | None = None
    is_sequence: bool = False


def numbered(frames: Iterable[ReadFrame]) -> tuple[ReadFrame, ...]:
    """Give every object its id, and put the frames in order.

    A key that is a number from 1 to 254 stays what it is; other keys get the lowest numbers that are free, in the
    order in which they appear.

    Raises:
        DamagedError: There is no frame, two have one number, or there are too many objects.
    """
    gathered = list(frames)
    check_frame_count(len(gathered))
    if not gathered:
        raise DamagedError("it has no frames")
    if len({each.index for each in gathered}) != len(gathered):
        raise DamagedError("two of its frames have the same number")
    keys = dict.fromkeys(key for each in gathered for key in each.objects)
    if len(keys) > MAX_OBJECTS:
        raise DamagedError(
            f"it has {len(keys)} objects; a label map holds {MAX_OBJECTS}", fix="split it into files of fewer objects"
        )
    ids: dict[Hashable, int] = {key: key for key in keys if type(key) is int and 1 <= key <= MAX_OBJECTS}
    free = (number for number in range(1, MAX_OBJECTS + 1) if number not in ids)
    ids.update({key: next(free) for key in keys if key not in ids})
    stems = [each.stem for each in gathered]
    named = all(stem is not None and is_file_name(stem) for stem in stems) and len(set(stems)) == len(stems)
    for each in gathered:
        each.stem = each.stem if named else None
        each.objects = dict(sorted((ids[key], rle) for key, rle in each.objects.items()))
    return tuple(sorted(gathered, key=lambda each: each.index))


def is_file_name(stem: str) -> bool:
    """Return True if a frame's name may be part of a path: a file must not lead its reader out of the output folder."""
    return stem.strip(". ") != "" and not set(stem) & {"/", "\\", "\0"}


def parsed(kind: type[RecordT], content: object, *, of: str = "") -> RecordT:
    """Check decoded JSON against a record; say before the faults what it is, if it is no whole file."""
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise DamagedError(f"{of}: {faults(error)}" if of else faults(error)) from error


def rle_of(value: Any, *, of: str, size: tuple[int, int] | None = None) -> RLE:
    """Read a mask in COCO's form; polygons, too, where the size of the picture is known."""
    if isinstance(value, list) and value and size is not None:
        return _polygons(value, of=of, size=size)
    if not isinstance(value, Mapping):
        text = repr(value)
        shown = text if len(text) <= 40 else f"{text[:37]}..."
        kind = "polygons" if isinstance(value, list) else shown
        raise DamagedError(f"{of} has {kind} where a run-length code is read")
    stated = value.get("size")
    if isinstance(stated, list) and all(isinstance(side, int) for side in stated) and len(stated) == 2:
        check_size((stated[0], stated[1]))
    try:
        return RLE.from_coco(value)
    except AnnotationError as error:
        raise DamagedError(f"{of}: {error.what}: {error.why}") from error


def _polygons(value: list[Any], *, of: str, size: tuple[int, int]) -> RLE:
    """Join polygons, each a list of x0, y0, x1, y1, ..."""
    whole: MaskArray = np.zeros(size, np.bool_)
    try:
        for corners in value:
            whole |= decode(polygon_to_rle(corners if isinstance(corners, list) else [], size=size))
    except AnnotationError as error:
        raise DamagedError(f"{of}: {error.what}: {error.why}") from error
    return encode(whole)


def check_size(size: tuple[int, int]) -> None:
    """Refuse what would not fit in memory, and what is no picture."""
    pixels = size[0] * size[1]
    if min(size) < 1 or pixels > limits().pixels:
        fix = raising("pixels", pixels) if min(size) >= 1 else None
        raise DamagedError(f"its frames are {_shown(size)} pixels; 1 to {limits().pixels} are read", fix=fix)


def time_base_of(about: object) -> Fraction | None:
    """Return the time base in the ``info`` of a COCO or YouTube-VIS file, a text such as ``1/25``; None without one."""
    value = about.get("time_base") if isinstance(about, Mapping) else None
    try:
        base = parse_fraction(value) if isinstance(value, str) else None
    except (ValueError, ZeroDivisionError):
        return None
    return base if base is not None and base > 0 else None


def check_frame_count(count: int) -> None:
    """Refuse more frames than the limit, before anything is made of them."""
    if count > limits().frames:
        raise DamagedError(f"it has {count} frames, and {limits().frames} are read", fix=raising("frames", count))


def _shown(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]}"
