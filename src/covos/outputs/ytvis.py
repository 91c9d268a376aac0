"""``ytvis``: YouTube-VIS, ``ytvis.json``: one video, and for each object a mask or null for every frame."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from covos.outputs.annotation_file import AnnotationFile
from covos.outputs.coco import coco_head
from covos.outputs.folder import OutputFolder
from covos.outputs.frame_mask import FrameMask
from covos.outputs.growing import GrowingFile
from covos.types import SourceInfo


class YtvisWriter(AnnotationFile):
    """Collects an object's masks over the whole video, as the format puts them together.

    Memory grows with the run-length code of the masks, not with the pictures.
    """

    name = "ytvis"
    file_name = "ytvis.json"

    def __init__(self, folder: OutputFolder, *, info: SourceInfo, source_path: Path) -> None:
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
