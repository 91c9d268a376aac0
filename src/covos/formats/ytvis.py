"""``ytvis``: YouTube-VIS, ``ytvis.json``: one video, and for each object a mask or null for every frame.

Files of one video are read; the id of an annotation is its object's.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from covos.core.records import Record
from covos.formats.annotations import AnnotationFormat, picture_name
from covos.formats.coco import coco_head
from covos.formats.reading import DamagedError, MaskInput, MasksRead, ReadFrame, numbered, parsed, rle_of, time_base_of
from covos.masks.frame_mask import FrameMask

_Track = dict[int, tuple[str, str, str]]
"""Position of a frame to the JSON of a mask, its box and its area."""


class YtvisFormat(AnnotationFormat):
    """Collects an object's masks over the whole video, as the format puts them together.

    Memory grows with the run-length code of the masks, not with the pictures.
    """

    name = "ytvis"
    output = "ytvis.json"
    read_as = "YouTube-VIS JSON"

    def _opening(self, first: FrameMask) -> str:
        self._frames: list[dict[str, Any]] = []
        self._size = first.size
        self._tracks: dict[int, _Track] = {}
        return json.dumps(coco_head(self._info, time_base=first.time_base), ensure_ascii=False).removesuffix("}")

    def _frame(self, masks: FrameMask) -> str:
        place = len(self._frames)
        self._frames.append({"name": picture_name(masks), "index": masks.index, "pts": masks.pts})
        for identity, rle in masks.objects.items():
            row = json.dumps(rle.to_coco()), json.dumps(rle.bbox), str(rle.area)
            self._tracks.setdefault(identity, {})[place] = row
        return ""

    def _end(self) -> None:
        size = {"height": self._size[0], "width": self._size[1]}
        video = {
            "id": 1,
            **size,
            "length": len(self._frames),
            "file_names": [frame["name"] for frame in self._frames],
            "frame_indices": [frame["index"] for frame in self._frames],
            "pts": [frame["pts"] for frame in self._frames],
        }
        self._put(f',\n"videos": [{json.dumps(video, ensure_ascii=False)}],\n"annotations": [')
        for number, identity in enumerate(sorted(self._tracks)):
            head = {"id": identity, "video_id": 1, "category_id": 1, "iscrowd": 0, **size}
            self._put((",\n" if number else "\n") + json.dumps(head).removesuffix("}"))
            for column, key in enumerate(("segmentations", "bboxes", "areas")):
                self._put(f', "{key}": [' + ", ".join(self._column(identity, column)) + "]")
            self._put("}")
        self._put("\n]}\n")

    def _column(self, identity: int, column: int) -> list[str]:
        track = self._tracks[identity]
        return [track[place][column] if place in track else "null" for place in range(len(self._frames))]

    @classmethod
    def recognise(cls, masks: MaskInput) -> bool:
        """Return True for a JSON object with videos and no images."""
        return isinstance(masks.json, dict) and "videos" in masks.json and "images" not in masks.json

    @classmethod
    def read(cls, masks: MaskInput) -> MasksRead:
        """Read a file of one video."""
        content = parsed(YtvisFile, masks.json)
        if len(content.videos) != 1:
            raise DamagedError(f"it has {len(content.videos)} videos; one is read")
        (video,) = content.videos
        count = len(video.file_names)
        indices = _column(video.frame_indices, count) or range(count)
        times: Sequence[int | None] = _column(video.pts, count) or [None] * count
        frames = [
            ReadFrame(index=index, stem=Path(str(name)).stem, pts=pts, size=(video.height, video.width))
            for name, index, pts in zip(video.file_names, indices, times, strict=True)
        ]
        for row in content.annotations:
            of = f"annotation {row.id}"
            if row.video_id != video.id:
                raise DamagedError(f"{of} belongs to video {row.video_id}, which is not listed")
            if len(row.segmentations) != count:
                raise DamagedError(f"{of} has {len(row.segmentations)} masks for {count} frames")
            for frame, mask in zip(frames, row.segmentations, strict=True):
                if mask is not None:
                    frame.add(row.id, rle_of(mask, of=f"{of}, frame {frame.index}"))
        time_base = time_base_of(content.info)
        return MasksRead(format=cls.name, path=masks.path, frames=numbered(frames), time_base=time_base)


class YtvisVideo(Record, strict=True):
    """The video; ``frame_indices`` and ``pts`` are written by covos alone."""

    id: Any = None
    file_names: list[Any]
    height: int
    width: int
    frame_indices: Any = None
    pts: Any = None


class YtvisAnnotation(Record, strict=True):
    """An object, with a mask or null for each frame."""

    id: int
    video_id: Any = None
    segmentations: list[Any]


class YtvisFile(Record, strict=True):
    """A whole file, without what is not read of it."""

    videos: list[YtvisVideo]
    annotations: list[YtvisAnnotation]
    info: Any = None


def _column(values: Any, count: int) -> list[int] | None:
    """Return a list of one whole number a frame, or None if it is none."""
    if not isinstance(values, list) or len(values) != count or not all(type(value) is int for value in values):
        return None
    return values
