"""Read Label Studio's JSON export of brush masks on the frames of one video.

Annotations of people go before predictions of models, later ones before earlier ones. A label such as ``object 3``
is object 3; another label is an object of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from covos.errors import AnnotationError
from covos.media.images import natural_key
from covos.outputs.brush_rle import unpack
from covos.outputs.readers.base import (
    DamagedError,
    Gathered,
    MasksRead,
    check_size,
    field,
    in_order,
    numbered,
    renumbered,
)

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
