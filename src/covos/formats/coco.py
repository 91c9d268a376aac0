"""``coco``: COCO instance segmentation, ``coco.json``: each frame an image, each mask a compressed run-length code.

``track_id`` is the object's id: the same object has the same number in every frame. `pycocotools` reads the file.
Files of other tools are read if they are of one video. Their objects are told apart by ``track_id``, of the annotation
or of its ``attributes`` (as CVAT exports it), else by category. Polygons are not read: which pixels they cover is not
agreed upon.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

from covos._version import __version__
from covos.core.records import Record
from covos.core.types import SourceInfo
from covos.formats.annotations import CATEGORY, AnnotationFormat, picture_name
from covos.formats.reading import DamagedError, MaskInput, MasksRead, ReadFrame, numbered, parsed, rle_of, time_base_of
from covos.masks.frame_mask import FrameMask


class CocoFormat(AnnotationFormat):
    """Writes annotations as they come; of the images a line each is kept for the end of the file."""

    name = "coco"
    output = "coco.json"
    read_as = "COCO JSON"

    def _opening(self, first: FrameMask) -> str:
        self._images: list[str] = []
        self._rows = 0
        head = coco_head(self._info, time_base=first.time_base)
        return json.dumps(head, ensure_ascii=False).removesuffix("}") + ',\n"annotations": ['

    def _frame(self, masks: FrameMask) -> str:
        self._images.append(json.dumps(_image(masks), ensure_ascii=False))
        rows = _annotations(masks, first=self._rows + 1)
        text = "".join(f"{',' if self._rows + place else ''}\n{json.dumps(row)}" for place, row in enumerate(rows))
        self._rows += len(rows)
        return text

    def _end(self) -> None:
        self._put('\n],\n"images": [\n')
        self._put(",\n".join(self._images))
        self._put("\n]}\n")

    @classmethod
    def recognise(cls, masks: MaskInput) -> bool:
        """Return True for a JSON object that is not one of YouTube-VIS."""
        return isinstance(masks.json, dict) and ("images" in masks.json or "videos" not in masks.json)

    @classmethod
    def read(cls, masks: MaskInput) -> MasksRead:
        """Read a file of one video."""
        content = parsed(CocoFile, masks.json)
        if len({row.video_id for row in content.images}) > 1:
            raise DamagedError("its images are of several videos")
        told = all(row.frame_index is not None for row in content.images)
        frames = {
            row.id: ReadFrame(
                index=row.frame_index if told and row.frame_index is not None else place,
                stem=Path(row.file_name).stem,
                pts=row.pts if isinstance(row.pts, int) else None,
                size=(row.height, row.width),
            )
            for place, row in enumerate(content.images)
        }
        if len(frames) != len(content.images):
            raise DamagedError("two of its images have the same id")
        for annotation in content.annotations:
            of = f"annotation {annotation.id}"
            if annotation.image_id not in frames:
                raise DamagedError(f"{of} belongs to image {annotation.image_id}, which is not listed")
            rle = rle_of(annotation.segmentation, of=of)
            frames[annotation.image_id].add(_identity(annotation, of=of), rle)
        ordered, time_base = numbered(frames.values()), time_base_of(content.info)
        return MasksRead(format=cls.name, path=masks.path, frames=ordered, time_base=time_base)


class CocoImage(Record, strict=True):
    """A frame; ``frame_index`` and ``pts`` are written by covos alone."""

    id: int
    file_name: str
    height: int
    width: int
    video_id: int | str | None = None
    frame_index: int | None = None
    pts: Any = None


class CocoAnnotation(Record, strict=True):
    """A mask."""

    id: Any = None
    image_id: int
    category_id: int | None = None
    track_id: Any = None
    attributes: Any = None
    segmentation: Any = None


class CocoFile(Record, strict=True):
    """A whole file, without what is not read of it."""

    images: list[CocoImage]
    annotations: list[CocoAnnotation]
    info: Any = None


def _identity(row: CocoAnnotation, *, of: str) -> int | str:
    track = row.track_id
    if track is None and isinstance(row.attributes, dict):
        track = row.attributes.get("track_id")
    if track is not None:
        return track if type(track) is int else str(track)
    if row.category_id is None:
        raise DamagedError(f"{of} has neither a 'track_id' nor a 'category_id'")
    return f"category {row.category_id}"


def coco_content(frames: Iterable[FrameMask], *, info: SourceInfo) -> dict[str, Any]:
    """Return the content of a COCO file of a source's frames, which come in order."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    time_base = info.time_base
    for masks in frames:
        time_base = masks.time_base
        images.append(_image(masks))
        annotations += _annotations(masks, first=len(annotations) + 1)
    return {**coco_head(info, time_base=time_base), "annotations": annotations, "images": images}


def coco_head(info: SourceInfo, *, time_base: Fraction) -> dict[str, Any]:
    """Return all but the images and annotations."""
    about = {"description": f"masks of {Path(info.path).name}", "version": f"covos {__version__}"}
    return {
        "info": {**about, "time_base": str(time_base)},
        "licenses": [],
        "categories": [{"id": 1, "name": CATEGORY, "supercategory": ""}],
    }


def _image(masks: FrameMask) -> dict[str, Any]:
    """Return the row of a frame; ``pts`` counts units of the head's ``time_base``."""
    return {
        "id": masks.index + 1,  # COCO's own evaluation takes an id of 0 for none
        "file_name": picture_name(masks),
        "height": masks.size[0],
        "width": masks.size[1],
        "frame_index": masks.index,
        "pts": masks.pts,
    }


def _annotations(masks: FrameMask, *, first: int) -> list[dict[str, Any]]:
    """Return a row for each object of a frame, numbered from ``first``."""
    return [
        {
            "id": number,
            "image_id": masks.index + 1,
            "category_id": 1,
            "track_id": identity,
            "segmentation": rle.to_coco(),
            "area": rle.area,
            "bbox": list(rle.bbox),
            "iscrowd": 0,
        }
        for number, (identity, rle) in enumerate(masks.objects.items(), start=first)
    ]
