"""``coco``: COCO instance segmentation, ``coco.json``: each frame an image, each mask a compressed run-length code.

``track_id`` is the object's id: the same object has the same number in every frame. `pycocotools` reads the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

from covos._version import __version__
from covos.core.types import SourceInfo
from covos.formats.annotations import CATEGORY, AnnotationFile, GrowingFile, PictureNames
from covos.formats.base import Destination
from covos.formats.reading import (
    DamagedError,
    Gathered,
    MasksRead,
    field,
    in_order,
    numbered,
    renumbered,
    rle_of,
    time_base_of,
)
from covos.masks.frame_mask import FrameMask


class CocoWriter(AnnotationFile):
    """Writes annotations as they come; of the images a line each is kept for the end of the file."""

    name = "coco"
    file_name = "coco.json"

    def __init__(self, folder: Destination, *, info: SourceInfo, source_path: Path) -> None:
        super().__init__(folder, info=info, source_path=source_path)
        self._images: list[str] = []
        self._count = 0

    def _opening(self, first: FrameMask) -> str:
        head = coco_head(self._info, time_base=first.time_base)
        return json.dumps(head, ensure_ascii=False).removesuffix("}") + ',\n"annotations": ['

    def _frame(self, masks: FrameMask) -> str:
        self._images.append(json.dumps(coco_image(masks, name=self._pictures.of(masks.stem)), ensure_ascii=False))
        rows = coco_annotations(masks, first=self._count + 1)
        text = "".join(f"{',' if self._count + place else ''}\n{json.dumps(row)}" for place, row in enumerate(rows))
        self._count += len(rows)
        return text

    def _end(self, file: GrowingFile) -> None:
        file.write('\n],\n"images": [\n')
        file.write(",\n".join(self._images))
        file.write("\n]}\n")


def coco_content(frames: Iterable[FrameMask], *, info: SourceInfo) -> dict[str, Any]:
    """What a COCO file of these frames holds.

    Args:
        frames: In order.
        info: Of their source.
    """
    names = PictureNames(info)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    time_base = info.time_base
    for masks in frames:
        time_base = masks.time_base
        images.append(coco_image(masks, name=names.of(masks.stem)))
        annotations += coco_annotations(masks, first=len(annotations) + 1)
    return {**coco_head(info, time_base=time_base), "annotations": annotations, "images": images}


def coco_head(info: SourceInfo, *, time_base: Fraction) -> dict[str, Any]:
    """All but the images and annotations."""
    about = {"description": f"masks of {Path(info.path).name}", "version": f"covos {__version__}"}
    return {
        "info": {**about, "time_base": str(time_base)},
        "licenses": [],
        "categories": [{"id": 1, "name": CATEGORY, "supercategory": ""}],
    }


def coco_image(masks: FrameMask, *, name: str) -> dict[str, Any]:
    """The row of a frame; ``pts`` counts units of the head's ``time_base``."""
    return {
        "id": masks.index + 1,  # COCO's own evaluation takes an id of 0 for none
        "file_name": name,
        "height": masks.size[0],
        "width": masks.size[1],
        "frame_index": masks.index,
        "pts": masks.pts,
    }


def coco_annotations(masks: FrameMask, *, first: int) -> list[dict[str, Any]]:
    """A row for each object of a frame, numbered from ``first``."""
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


# Read COCO instance files with run-length masks: ours, and those of other tools for one video.
#
# An object is told by ``track_id``, of the annotation or of its ``attributes`` (as CVAT exports it), else by its
# category. Polygons are not read: which pixels they cover is not agreed upon.


def read_coco(path: Path, content: Any) -> MasksRead:
    """Read the parsed content of a file.

    Args:
        path: Of the file.
        content: Its JSON.

    Raises:
        DamagedError: It is damaged, or of several videos.
    """
    rows = field(content, "images", list, of="the file")
    if len({row.get("video_id") for row in rows if isinstance(row, dict)}) > 1:
        raise DamagedError("its images are of several videos")
    frames = {field(row, "id", int, of="an image"): _image(row, place) for place, row in enumerate(rows)}
    if len(frames) != len(rows):
        raise DamagedError("two of its images have the same id")
    for row in field(content, "annotations", list, of="the file"):
        of = f"annotation {row.get('id') if isinstance(row, dict) else row}"
        frame = frames.get(field(row, "image_id", int, of=of))
        if frame is None:
            raise DamagedError(f"{of} belongs to image {row['image_id']}, which is not listed")
        frame.add(_identity(row, of=of), rle_of(row.get("segmentation"), of=of))
    about = content.get("info")
    ordered = numbered(frames.values())
    told = all("frame_index" in row for row in rows)
    return MasksRead(
        format="coco",
        path=path,
        frames=in_order(ordered) if told else renumbered(ordered),
        time_base=time_base_of(about.get("time_base")) if isinstance(about, dict) else None,
    )


def _image(row: Any, place: int) -> Gathered:
    of = f"image {row['id']}"
    pts = row.get("pts")
    return Gathered(
        index=field(row, "frame_index", int, of=of) if "frame_index" in row else place,
        stem=Path(field(row, "file_name", str, of=of)).stem,
        pts=pts if isinstance(pts, int) else None,
        size=(field(row, "height", int, of=of), field(row, "width", int, of=of)),
        objects={},
    )


def _identity(row: Any, *, of: str) -> int | str:
    attributes = row.get("attributes")
    for record in (row, attributes if isinstance(attributes, dict) else {}):
        if (track := record.get("track_id")) is not None:
            return track if type(track) is int else str(track)
    return f"category {field(row, 'category_id', int, of=of)}"
