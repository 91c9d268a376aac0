"""``labelstudio``: Label Studio tasks with predictions, ``labelstudio.json``: each frame an image with brush masks.

Label Studio has no masks on videos, so the frames are tasks of images: ``data.image`` names the picture, and each
object is a label of its own, ``object 1``, ``object 2``, ... of the ``BrushLabels`` tag ``brush``; or the label that it
has. The note of its region, ``object 1``, then names it.

In exports of Label Studio annotations of people go before predictions of models, later ones before earlier ones. A
label such as ``object 3`` is object 3; another label is an object of its own. Polygons are read as well as brush masks.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from covos.core.errors import AnnotationError
from covos.core.labelling import NAMELESS
from covos.core.records import Record
from covos.formats.annotations import AnnotationFormat, picture_name
from covos.formats.base import ReadableFormat
from covos.formats.brush import pack, unpack
from covos.formats.detections import is_list_of
from covos.formats.reading import DamagedError, MaskInput, MasksRead, ReadFrame, check_size, numbered, parsed
from covos.masks.frame_mask import FrameMask
from covos.masks.polygon import polygon_to_rle
from covos.media.images import natural_key

_OURS = re.compile(r"object (\d{1,3})")
_UPLOADED = re.compile(r"^[0-9a-f]{8}-")  # Label Studio puts this before the name of an uploaded file
_LOCAL = re.compile(r"[?&]d=([^&]*)")
_SHAPES = {"x", "points", "vertices"}
_FAR = 1e6  # percent


class LabelStudioFormat(AnnotationFormat, ReadableFormat):
    """Tasks for Label Studio, one a frame, with the masks as predictions.

    A frame without an object has a prediction, too: the model looked and found none.
    """

    name = "labelstudio"
    own_sizes = True
    output = "labelstudio.json"
    read_as = "Label Studio JSON"
    looks_like = "a list of tasks with 'data'"

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
                "value": {"format": "rle", "rle": list(pack(rle)), "brushlabels": [self._label(identity)]},
                **self._note(identity),
            }
            for identity, rle in masks.objects.items()
        ]
        data = {"image": picture_name(masks), "frame": masks.number, "width": width, "height": height}
        task = {"data": data, "predictions": [{"model_version": "covos", "result": regions}]}
        text = self._separator + json.dumps(task, ensure_ascii=False, separators=(",", ":"))
        self._separator = ",\n"
        return text

    def _label(self, identity: int) -> str:
        label = self._labels.of(identity)
        return f"{label} {identity}" if label == NAMELESS else label

    def _note(self, identity: int) -> dict[str, Any]:
        """Return the note of a region whose label does not name the object; people see it beside the region."""
        named = self._labels.of(identity) != NAMELESS
        return {"meta": {"text": [f"{NAMELESS} {identity}"]}} if named else {}

    def _end(self) -> None:
        self._put("\n]\n")

    @classmethod
    def recognise(cls, masks: MaskInput) -> bool:
        """Return True for a JSON list of tasks."""
        return is_list_of(masks.json, keys={"data"})

    @classmethod
    def read(cls, masks: MaskInput) -> MasksRead:
        """Read an export of brush masks on the frames of one video."""
        tasks = [parsed(LabelStudioTask, task, of=f"task {place}") for place, task in enumerate(masks.json)]
        regions = [_brushes(task, of=f"task {place}") for place, task in enumerate(tasks)]
        sizes = [_size(task, brushes) for task, brushes in zip(tasks, regions, strict=True)]
        known = next((size for size in sizes if size is not None), None)
        if known is None:
            raise DamagedError(
                "it does not state the size of its pictures: no task has a region, or a width and height"
            )
        frames = []
        for place, (task, brushes, size) in enumerate(zip(tasks, regions, sizes, strict=True)):
            frame = ReadFrame(index=place, stem=_stem(task.data.image), size=size or known)
            for brush in brushes:
                _add(frame, brush, of=f"task {place}")
            frames.append(frame)
        numbers = [task.data.frame for task in tasks]
        if not all(isinstance(number, int) for number in numbers):
            frames.sort(key=lambda frame: natural_key(frame.stem or ""))
            numbers = list(range(len(frames)))
        for frame, number in zip(frames, numbers, strict=True):
            frame.index = number
        return MasksRead(format=cls.name, path=masks.path, frames=numbered(frames))


class LabelStudioData(Record, strict=True):
    """A picture; all but its name is written by covos alone."""

    image: str
    frame: Any = None
    height: Any = None
    width: Any = None


class LabelStudioTask(Record, strict=True):
    """A frame, with the answers of models and of people."""

    data: LabelStudioData
    predictions: list[Any] | None = None
    annotations: list[Any] | None = None


class LabelStudioRegion(Record, strict=True):
    """A part of an answer: a mask, another shape, or a word on the picture."""

    meta: Any = None
    value: dict[str, Any] | None = None
    type: Any = None
    image_rotation: Any = None
    original_height: int | None = None
    original_width: int | None = None


class LabelStudioAnswer(Record, strict=True):
    """The regions that a model or a person has given."""

    result: list[LabelStudioRegion]


def _brushes(task: LabelStudioTask, *, of: str) -> list[LabelStudioRegion]:
    """Return the brush masks of the task's last answer."""
    latest: list[Any] = []
    for given in (task.predictions, task.annotations):
        answers = [each for each in given or () if isinstance(each, dict) and not each.get("was_cancelled")]
        latest = answers or latest
    brushes = []
    for region in parsed(LabelStudioAnswer, latest[-1], of=of).result if latest else ():
        value = region.value or {}
        if value.get("format") == "rle" or (region.type == "polygonlabels" and "points" in value):
            brushes.append(region)
        elif _SHAPES & value.keys():
            raise DamagedError(
                f"{of} has a region of type {region.type!r}; brush masks and polygons are read",
                fix="draw brush masks or polygons in its place, or remove it, and export again",
            )
    return brushes


def _add(frame: ReadFrame, brush: LabelStudioRegion, *, of: str) -> None:
    if brush.image_rotation:
        raise DamagedError(
            f"{of}: its picture is rotated by {brush.image_rotation} degrees",
            fix="turn it back in Label Studio, and export again",
        )
    value = brush.value or {}
    lists = [
        value[name]
        for name in ("brushlabels", "polygonlabels", "labels")
        if isinstance(value.get(name), list) and value[name]
    ]
    label = str(lists[0][0]) if lists else "object 1"  # a brush without labels is all of one object
    notes = brush.meta.get("text") if isinstance(brush.meta, dict) else None
    note = str(notes[0]) if isinstance(notes, list) and notes else ""
    ours = _OURS.fullmatch(label) or _OURS.fullmatch(note)
    try:
        if "points" in value:
            rle = polygon_to_rle(_corners(value["points"], size=frame.size), size=frame.size)
        else:
            rle = unpack(value.get("rle"), size=frame.size)
    except AnnotationError as error:
        raise DamagedError(f"{of}: {error.what}: {error.why}") from error
    frame.add(int(ours[1]) if ours else label, rle)


def _corners(points: object, *, size: tuple[int, int]) -> list[float]:
    """Return x0, y0, x1, y1, ... in pixels of points in percent of the picture's width and height."""
    pairs = points if isinstance(points, list) else []
    if not all(
        isinstance(pair, list) and len(pair) == 2 and all(type(each) in (int, float) for each in pair) for pair in pairs
    ):
        return []
    if any(abs(each) > _FAR for pair in pairs for each in pair):
        return []
    return [each * side / 100 for pair in pairs for each, side in zip(pair, (size[1], size[0]), strict=True)]


def _size(task: LabelStudioTask, brushes: list[LabelStudioRegion]) -> tuple[int, int] | None:
    size: tuple[Any, Any] = task.data.height, task.data.width
    if brushes:
        size = brushes[0].original_height, brushes[0].original_width
    if not all(isinstance(side, int) for side in size):
        return None
    check_size(size)
    return size


def _stem(image: str) -> str:
    """Return the name of a picture by its address: a path, a URL, or Label Studio's own ``...?d=frames/00000.jpg``."""
    local = _LOCAL.search(image)
    path = unquote(local[1] if local else image.split("?", maxsplit=1)[0])
    return Path(_UPLOADED.sub("", re.split(r"[/\\]", path)[-1])).stem
