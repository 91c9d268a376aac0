"""``cvat``: CVAT for video 1.1, ``cvat.xml``, to upload to a CVAT task of the same video.

CVAT has no tracks of masks: of a track with masks in several frames its import keeps the first alone. So each mask is
a track of one frame, as CVAT's own export has it, and the object is told by the attribute ``track_id``, which CVAT
keeps if the task's label ``object`` has a number attribute of that name. A mask is cut to its box and coded in rows,
background first.
"""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

from covos.masks import RLE, decode, encode
from covos.outputs.annotation_file import CATEGORY, AnnotationFile
from covos.outputs.folder import OutputFolder
from covos.outputs.frame_mask import FrameMask
from covos.outputs.growing import GrowingFile
from covos.types import SourceInfo

IDENTITY = "track_id"
_COUNT = "<size>"
_DIGITS = 10
"""Room for the number of frames, which is known at the end only."""


class CvatWriter(AnnotationFile):
    """Writes each mask as it comes, and at the end the number of frames into the head."""

    name = "cvat"
    file_name = "cvat.xml"

    def __init__(self, folder: OutputFolder, *, info: SourceInfo, source_path: Path) -> None:
        super().__init__(folder, info=info, source_path=source_path)
        self._count_at = 0
        self._frames = 0
        self._tracks = 0
        self._pending: list[str] = []

    def _opening(self, first: FrameMask) -> str:
        text = _HEAD.format(
            name=escape("".join(c if c.isprintable() else "?" for c in Path(self._info.path).name)),
            label=CATEGORY,
            identity=IDENTITY,
            height=first.size[0],
            width=first.size[1],
            count=" " * _DIGITS,
        )
        before = text[: text.index(_COUNT) + len(_COUNT)]
        self._count_at = len(before.encode("utf-8", "backslashreplace"))
        return text

    def _frame(self, masks: FrameMask) -> str:
        text = self._closed(ends_at=masks.index)
        for identity, rle in masks.objects.items():
            head = f'  <track id="{self._tracks}" label="{CATEGORY}" source="auto">\n'
            self._pending.append(head + _mask(masks.index, rle, identity=identity))
            self._tracks += 1
        self._frames = masks.index + 1
        return text

    def _end(self, file: GrowingFile) -> None:
        file.write(self._closed(ends_at=None) + "</annotations>\n")
        file.overwrite(self._count_at, f"{self._frames:<{_DIGITS}}")

    def _closed(self, *, ends_at: int | None) -> str:
        """The tracks of the frame before, ended by a mask outside the picture if another frame follows."""
        end = "" if ends_at is None else _OUTSIDE.format(frame=ends_at)
        text = "".join(f"{track}{end}  </track>\n" for track in self._pending)
        self._pending.clear()
        return text


def rows_of(rle: RLE) -> tuple[tuple[int, int, int, int], list[int]]:
    """A mask as CVAT has it.

    Returns:
        Its box (left, top, width, height), and the lengths of the runs along the rows of that box, background first.
    """
    left, top, width, height = rle.bbox
    part = decode(rle)[top : top + height, left : left + width]
    # Down the columns of the transposed part is along its rows.
    return rle.bbox, encode(np.ascontiguousarray(part.T)).counts.tolist()


def _mask(frame: int, rle: RLE, *, identity: int) -> str:
    (left, top, width, height), counts = rows_of(rle)
    return (
        f'    <mask frame="{frame}" keyframe="1" outside="0" occluded="0" rle="{", ".join(map(str, counts))}" '
        f'left="{left}" top="{top}" width="{width}" height="{height}" z_order="0">\n'
        f'      <attribute name="{IDENTITY}">{identity}</attribute>\n'
        "    </mask>\n"
    )


_OUTSIDE = (
    '    <mask frame="{frame}" keyframe="1" outside="1" occluded="0" rle="1" '
    'left="0" top="0" width="1" height="1" z_order="0">\n    </mask>\n'
)
_HEAD = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta>
    <task>
      <name>{name}</name>
      <size>{count}</size>
      <mode>interpolation</mode>
      <overlap>0</overlap>
      <labels>
        <label>
          <name>{label}</name>
          <type>any</type>
          <attributes>
            <attribute>
              <name>{identity}</name>
              <mutable>False</mutable>
              <input_type>number</input_type>
              <default_value>1</default_value>
              <values>1
254
1</values>
            </attribute>
          </attributes>
        </label>
      </labels>
      <original_size>
        <width>{width}</width>
        <height>{height}</height>
      </original_size>
    </task>
  </meta>
"""
