"""``ytvis``: YouTube-VIS, ``ytvis.json``: one video, and for each object a mask or null for every frame."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from covos.core.types import SourceInfo
from covos.formats.annotations import AnnotationFile, GrowingFile
from covos.formats.base import Destination
from covos.formats.coco import coco_head
from covos.formats.reading import DamagedError, Gathered, MasksRead, field, in_order, numbered, rle_of, time_base_of
from covos.masks.frame_mask import FrameMask


class YtvisWriter(AnnotationFile):
    """Collects an object's masks over the whole video, as the format puts them together.

    Memory grows with the run-length code of the masks, not with the pictures.
    """

    name = "ytvis"
    file_name = "ytvis.json"

    def __init__(self, folder: Destination, *, info: SourceInfo, source_path: Path) -> None:
        super().__init__(folder, info=info, source_path=source_path)
        self._frames: list[dict[str, Any]] = []
        self._size = (info.height, info.width)
        self._tracks: dict[int, _Track] = {}

    def _opening(self, first: FrameMask) -> str:
        self._size = first.size
        return json.dumps(coco_head(self._info, time_base=first.time_base), ensure_ascii=False).removesuffix("}")

    def _frame(self, masks: FrameMask) -> str:
        place = len(self._frames)
        self._frames.append({"name": self._pictures.of(masks.stem), "index": masks.index, "pts": masks.pts})
        for identity, rle in masks.objects.items():
            row = json.dumps(rle.to_coco()), json.dumps(rle.bbox), str(rle.area)
            self._tracks.setdefault(identity, {})[place] = row
        return ""

    def _end(self, file: GrowingFile) -> None:
        size = {"height": self._size[0], "width": self._size[1]}
        video = {
            "id": 1,
            **size,
            "length": len(self._frames),
            "file_names": [frame["name"] for frame in self._frames],
            "frame_indices": [frame["index"] for frame in self._frames],
            "pts": [frame["pts"] for frame in self._frames],
        }
        file.write(f',\n"videos": [{json.dumps(video, ensure_ascii=False)}],\n"annotations": [')
        for number, identity in enumerate(sorted(self._tracks)):
            head = {"id": identity, "video_id": 1, "category_id": 1, "iscrowd": 0, **size}
            file.write((",\n" if number else "\n") + json.dumps(head).removesuffix("}"))
            for column, key in enumerate(("segmentations", "bboxes", "areas")):
                file.write(f', "{key}": [' + ", ".join(self._column(identity, column)) + "]")
            file.write("}")
        file.write("\n]}\n")

    def _column(self, identity: int, column: int) -> list[str]:
        track = self._tracks[identity]
        return [track[place][column] if place in track else "null" for place in range(len(self._frames))]


_Track = dict[int, tuple[str, str, str]]
"""Position of a frame to the JSON of a mask, its box and its area."""


# Read YouTube-VIS files of one video; the id of an annotation is its object's.


def read_ytvis(path: Path, content: Any) -> MasksRead:
    """Read the parsed content of a file.

    Args:
        path: Of the file.
        content: Its JSON.

    Raises:
        DamagedError: It is damaged, or of several videos.
    """
    videos = field(content, "videos", list, of="the file")
    if len(videos) != 1:
        raise DamagedError(f"it has {len(videos)} videos; one is read")
    frames = _frames(videos[0])
    for row in field(content, "annotations", list, of="the file"):
        identity = field(row, "id", int, of="an annotation")
        of = f"annotation {identity}"
        if row.get("video_id") != videos[0].get("id"):
            raise DamagedError(f"{of} belongs to video {row.get('video_id')}, which is not listed")
        masks = field(row, "segmentations", list, of=of)
        if len(masks) != len(frames):
            raise DamagedError(f"{of} has {len(masks)} masks for {len(frames)} frames")
        for frame, mask in zip(frames, masks, strict=True):
            if mask is not None:
                frame.add(identity, rle_of(mask, of=f"{of}, frame {frame.index}"))
    about = content.get("info")
    return MasksRead(
        format="ytvis",
        path=path,
        frames=in_order(numbered(frames)),
        time_base=time_base_of(about.get("time_base")) if isinstance(about, dict) else None,
    )


def _frames(video: Any) -> list[Gathered]:
    names = field(video, "file_names", list, of="the video")
    size = field(video, "height", int, of="the video"), field(video, "width", int, of="the video")
    indices = _column(video, "frame_indices", len(names)) or list(range(len(names)))
    times: Sequence[int | None] = _column(video, "pts", len(names)) or [None] * len(names)
    return [
        Gathered(index=index, stem=Path(str(name)).stem, pts=pts, size=size, objects={})
        for name, index, pts in zip(names, indices, times, strict=True)
    ]


def _column(video: Any, name: str, count: int) -> list[int] | None:
    """A list that only covos writes: one whole number a frame, or nothing."""
    values = video.get(name)
    if not isinstance(values, list) or len(values) != count or not all(type(value) is int for value in values):
        return None
    return values
