"""Read COCO instance files with run-length masks: ours, and those of other tools for one video.

An object is told by ``track_id``, of the annotation or of its ``attributes`` (as CVAT exports it), else by its
category. Polygons are not read: which pixels they cover is not agreed upon.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from covos.outputs.readers.base import (
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
