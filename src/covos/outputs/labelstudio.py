"""``labelstudio``: Label Studio tasks with predictions, ``labelstudio.json``: each frame an image with brush masks.

Label Studio has no masks on videos, so the frames are tasks of images: ``data.image`` names the picture, and each
object is a label of its own, ``object 1``, ``object 2``, ... of the ``BrushLabels`` tag ``brush``.
"""

from __future__ import annotations

import json

from covos.outputs.annotation_file import CATEGORY, AnnotationFile
from covos.outputs.brush_rle import pack
from covos.outputs.frame_mask import FrameMask
from covos.outputs.growing import GrowingFile


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
