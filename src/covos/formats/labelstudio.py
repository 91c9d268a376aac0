"""``labelstudio``: Label Studio tasks with predictions, ``labelstudio.json``: each frame an image with brush masks.

Label Studio has no masks on videos, so the frames are tasks of images: ``data.image`` names the picture, and each
object is a label of its own, ``object 1``, ``object 2``, ... of the ``BrushLabels`` tag ``brush``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from covos.core.errors import AnnotationError
from covos.formats.annotations import CATEGORY, AnnotationFile, GrowingFile
from covos.formats.reading import DamagedError, Gathered, MasksRead, check_size, field, in_order, numbered, renumbered
from covos.masks import RLE, decode, encode
from covos.masks.frame_mask import FrameMask
from covos.media.images import natural_key

# The run-length code of Label Studio's brush: bits, over the four channels of a picture, row by row.
#
# A head of 32 bits says how many values there are (4 x height x width), 5 bits the width of a value less one,
# 4 x 4 bits the widths of the four sizes of a length, less one. Then, until all values are there: one bit (1: a run of
# one value;
# 0: as many single values), two bits that choose the size of the length, the length less one, and the value or values.
# (``rle-pack`` of thi.ng/umbrella, which Label Studio uses.)

_CHANNELS = 4
_ALPHA = 3
_HEAD_BITS = 32 + 5 + 4 * 4
_VALUE_BITS = 8
_SIZES = (3, 4, 8, 16)
_LONGEST = 1 << _SIZES[-1]


def pack(rle: RLE) -> bytes:
    """A mask as Label Studio's brush has it: all four channels 255 on the object, 0 elsewhere.

    Args:
        rle: The mask.
    """
    height, width = rle.size
    runs = encode(np.ascontiguousarray(decode(rle).T)).counts.astype(np.int64) * _CHANNELS
    values = np.arange(runs.size) % 2 * 255
    # A run above the longest length becomes several.
    parts = -(-runs // _LONGEST)
    values = np.repeat(values, parts)
    lengths = np.full(values.size, _LONGEST)
    ends = np.cumsum(parts)[parts > 0] - 1
    lengths[ends] = (runs - (parts - 1) * _LONGEST)[parts > 0]
    kind = np.searchsorted(1 << np.array(_SIZES), lengths)
    sizes = np.array(_SIZES)[kind]
    codes = (((1 << 2 | kind) << sizes | lengths - 1) << _VALUE_BITS) | values
    head = 0
    for number, bits in ((_CHANNELS * height * width, 32), (_VALUE_BITS - 1, 5), *((size - 1, 4) for size in _SIZES)):
        head = head << bits | number
    return _joined(np.append([head], codes), np.append([_HEAD_BITS], 1 + 2 + sizes + _VALUE_BITS))


def unpack(code: Sequence[int], *, size: tuple[int, int]) -> RLE:
    """Read a mask back: where the alpha channel is at least half opaque.

    Args:
        code: Bytes, as numbers.
        size: (height, width) that the file says the picture has.

    Raises:
        AnnotationError: The code is damaged, or of a picture of another size.
    """
    try:
        data = np.asarray(bytearray(code), np.uint8)
    except (TypeError, ValueError):
        raise _broken("it is not a list of bytes") from None
    bits = _Bits(data)
    total = _CHANNELS * size[0] * size[1]
    if (stated := bits.number(32)) != total:
        raise _broken(f"it holds {stated} values, a picture of {size[1]}x{size[0]} has {total}")
    width = bits.number(5) + 1
    sizes = [bits.number(4) + 1 for _ in range(4)]
    if width != _VALUE_BITS:
        raise _broken(f"its values have {width} bits instead of 8")
    values = np.zeros(total, np.uint8)
    place = 0
    while place < total:
        is_run = bits.number(1)
        end = place + bits.number(sizes[bits.number(2)]) + 1
        if end > total:
            raise _broken("it holds more values than it says")
        values[place:end] = bits.number(width) if is_run else bits.bytes(end - place)
        place = end
    return encode(values[_ALPHA::_CHANNELS].reshape(size) >= 128)


class _Bits:
    def __init__(self, data: NDArray[np.uint8]) -> None:
        self._bits = np.unpackbits(data)
        self._text = data.tobytes()
        self._place = 0

    def number(self, width: int) -> int:
        start, end = self._place, self._advance(width)
        first, last = start // 8, -(-end // 8)
        return int.from_bytes(self._text[first:last], "big") >> (8 * last - end) & ((1 << width) - 1)

    def bytes(self, count: int) -> NDArray[np.uint8]:
        start, end = self._place, self._advance(8 * count)
        return np.packbits(self._bits[start:end])

    def _advance(self, width: int) -> int:
        self._place += width
        if self._place > self._bits.size:
            raise _broken("it ends early")
        return self._place


def _joined(codes: NDArray[np.int64], widths: NDArray[np.int64]) -> bytes:
    """Numbers of the given widths in bits, one after the other, filled up with zeros to whole bytes."""
    ends = np.cumsum(widths)
    left = np.repeat(ends, widths) - np.arange(ends[-1]) - 1  # bits of its number to the right of each bit
    return np.packbits(np.repeat(codes, widths) >> left & 1).tobytes()


def _broken(why: str) -> AnnotationError:
    return AnnotationError("a brush mask of Label Studio cannot be read", why=why, fix="export the file again")


class LabelStudioWriter(AnnotationFile):
    """Writes a task a frame, with a prediction even where there is no object: the model looked and found none."""

    name = "labelstudio"
    file_name = "labelstudio.json"

    def _opening(self, first: FrameMask) -> str:
        self._separator = "[\n"
        return ""

    def _frame(self, masks: FrameMask) -> str:
        height, width = masks.size
        regions = [
            {
                "id": f"object-{identity}",
                "type": "brushlabels",
                "from_name": "brush",
                "to_name": "image",
                "original_width": width,
                "original_height": height,
                "image_rotation": 0,
                "value": {"format": "rle", "rle": list(pack(rle)), "brushlabels": [f"{CATEGORY} {identity}"]},
            }
            for identity, rle in masks.objects.items()
        ]
        name = self._pictures.of(masks.stem)
        data = {"image": name, "frame": masks.index, "width": width, "height": height}
        task = {"data": data, "predictions": [{"model_version": "covos", "result": regions}]}
        text = self._separator + json.dumps(task, ensure_ascii=False, separators=(",", ":"))
        self._separator = ",\n"
        return text

    def _end(self, file: GrowingFile) -> None:
        file.write("\n]\n")


# Read Label Studio's JSON export of brush masks on the frames of one video.
#
# Annotations of people go before predictions of models, later ones before earlier ones. A label such as ``object 3``
# is object 3; another label is an object of its own.

_OURS = re.compile(r"object (\d{1,3})")
_UPLOADED = re.compile(r"^[0-9a-f]{8}-")  # Label Studio puts this before the name of an uploaded file
_LOCAL = re.compile(r"[?&]d=([^&]*)")
_SHAPES = {"x", "points", "vertices"}


def read_labelstudio(path: Path, content: Any) -> MasksRead:
    """Read the parsed content of a file.

    Args:
        path: Of the file.
        content: Its JSON.

    Raises:
        DamagedError: It is damaged, or holds other shapes than brush masks.
    """
    tasks = [(f"task {place}", task) for place, task in enumerate(content)]
    for of, task in tasks:
        field(task, "data", dict, of=of)
    sizes = {of: _size(of, task) for of, task in tasks}
    known = next((size for size in sizes.values() if size is not None), None)
    if known is None:
        raise DamagedError("it does not tell the size of its pictures: no task has a region, or a width and height")
    frames = [_frame(task, of=of, place=place, size=sizes[of] or known) for place, (of, task) in enumerate(tasks)]
    if all(isinstance(task["data"].get("frame"), int) for _, task in tasks):
        return MasksRead(format="labelstudio", path=path, frames=in_order(numbered(frames)))
    by_name = sorted(frames, key=lambda frame: natural_key(frame.stem or ""))
    return MasksRead(format="labelstudio", path=path, frames=renumbered(numbered(by_name)))


def _frame(task: Any, *, of: str, place: int, size: tuple[int, int]) -> Gathered:
    data = task["data"]
    number = data.get("frame")
    stem = _stem(field(data, "image", str, of=of))
    frame = Gathered(index=number if isinstance(number, int) else place, stem=stem, size=size, objects={})
    for region in _masks(task, of=of):
        value = region["value"]
        label = _label(value)
        ours = _OURS.fullmatch(label)
        if region.get("image_rotation"):
            raise DamagedError(f"{of}: its picture is rotated by {region['image_rotation']} degrees")
        try:
            rle = unpack(field(value, "rle", list, of=of), size=size)
        except AnnotationError as error:
            raise DamagedError(f"{of}: {error.what}: {error.why}") from error
        frame.add(int(ours[1]) if ours else label, rle)
    return frame


def _masks(task: Any, *, of: str) -> Iterator[Any]:
    """The brush regions of the task's last word."""
    said: list[Any] = []
    for name in ("predictions", "annotations"):
        given = field(task, name, list, of=of) if task.get(name) else []
        results = [each for each in given if isinstance(each, dict) and not each.get("was_cancelled")]
        said = results or said
    for region in field(said[-1], "result", list, of=of) if said else ():
        value = field(region, "value", dict, of=f"a region of {of}")
        if value.get("format") == "rle":
            yield region
        elif _SHAPES & value.keys():
            raise DamagedError(f"{of} has a region of type {region.get('type')!r}; brush masks are read")


def _label(value: Any) -> str:
    """What a region is called; a brush without labels is all of one object."""
    for name in ("brushlabels", "labels"):
        if isinstance(value.get(name), list) and value[name]:
            return str(value[name][0])
    return "object 1"


def _size(of: str, task: Any) -> tuple[int, int] | None:
    for region in _masks(task, of=of):
        height = field(region, "original_height", int, of=f"a region of {of}")
        size = height, field(region, "original_width", int, of=f"a region of {of}")
        check_size(size)
        return size
    data = task["data"]
    if isinstance(data.get("height"), int) and isinstance(data.get("width"), int):
        check_size((data["height"], data["width"]))
        return data["height"], data["width"]
    return None


def _stem(image: str) -> str:
    """The name of a picture from its address: a path, a URL, or Label Studio's own ``...?d=frames/00000.jpg``."""
    local = _LOCAL.search(image)
    path = unquote(local[1] if local else image.split("?", maxsplit=1)[0])
    return Path(_UPLOADED.sub("", re.split(r"[/\\]", path)[-1])).stem
