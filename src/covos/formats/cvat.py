"""``cvat``: CVAT for video 1.1, ``cvat.xml``, to upload to a CVAT task of the same video.

CVAT has no tracks of masks: of a track with masks in several frames its import keeps the first alone. So each mask is
a track of one frame, as CVAT's own export has it, and the object is told by the attribute ``track_id``, which CVAT
keeps if the task's label ``object`` has a number attribute of that name. A mask is cut to its box and coded in rows,
background first.

In files of CVAT an object is told by the attribute ``track_id``, else by the group of its track, else by the track if
that has several masks, else by its label (CVAT's own export makes a track of every single mask).
"""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from xml.parsers import expat
from xml.sax.saxutils import escape

import numpy as np

from covos.formats.annotations import CATEGORY, AnnotationFormat, GrowingFile
from covos.formats.reading import DamagedError, Gathered, MaskInput, MasksRead, check_size, numbered
from covos.masks import RLE, decode, encode
from covos.masks.frame_mask import FrameMask

IDENTITY = "track_id"
_COUNT = "<size>"
_DIGITS = 10
"""Room for the number of frames, which is known at the end only."""


_SHAPES = {"box", "polygon", "polyline", "points", "ellipse", "cuboid", "skeleton"}
_Attributes = dict[str, str]


class CvatFormat(AnnotationFormat):
    """Writes each mask as it comes, and at the end the number of frames into the head."""

    name = "cvat"
    output = "cvat.xml"
    read_as = "CVAT XML"

    def _opening(self, first: FrameMask) -> str:
        self._frames = 0
        self._tracks = 0
        self._pending: list[str] = []
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
        file.write(f"{self._frames:<{_DIGITS}}", position=self._count_at)

    def _closed(self, *, ends_at: int | None) -> str:
        """Return the tracks of the frame before, ended by a mask outside the picture if another frame follows."""
        end = "" if ends_at is None else _OUTSIDE.format(frame=ends_at)
        text = "".join(f"{track}{end}  </track>\n" for track in self._pending)
        self._pending.clear()
        return text

    @classmethod
    def recognise(cls, masks: MaskInput) -> bool:
        """Return True for XML."""
        return masks.start.startswith(b"<")

    @classmethod
    def read(cls, masks: MaskInput) -> MasksRead:
        """Read a file, a piece at a time: masks in tracks."""
        content = _Content()
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = content.start
        parser.EndElementHandler = content.end
        parser.CharacterDataHandler = content.text
        parser.StartDoctypeDeclHandler = content.doctype
        try:
            with masks.path.open("rb") as file:
                parser.ParseFile(file)
        except expat.ExpatError as error:
            raise DamagedError(f"it is not whole XML: {error}") from error
        return MasksRead(format=cls.name, path=masks.path, frames=numbered(content.frames()))


def rows_of(rle: RLE) -> tuple[tuple[int, int, int, int], list[int]]:
    """Code a mask as CVAT does.

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


class _Content:
    """Collects the masks of a file while it is parsed."""

    def __init__(self) -> None:
        self._open: list[str] = []
        self._text = ""
        self._meta: dict[str, int] = {}
        self._track: _Attributes = {}
        self._mask: _Attributes = {}
        self._identity: str | None = None
        self._masks: list[tuple[int, RLE, str | None]] = []
        self._objects: dict[int, list[tuple[Hashable, RLE]]] = {}

    def start(self, tag: str, attributes: _Attributes) -> None:
        if not self._open and tag != "annotations":
            raise DamagedError(f"it is no file of CVAT: its root is {tag!r}")
        if tag == "image":
            raise DamagedError("it is CVAT for images; CVAT for video is read")
        if tag in _SHAPES and "track" in self._open:
            raise DamagedError(f"it has a {tag} in frame {attributes.get('frame')}; masks are read")
        self._open.append(tag)
        self._text = ""
        if tag == "track":
            self._track = attributes
        elif tag == "mask":
            self._mask, self._identity = attributes, None
        elif tag == "attribute" and attributes.get("name") == IDENTITY:
            self._identity = ""

    def text(self, text: str) -> None:
        self._text += text

    def end(self, tag: str) -> None:
        self._open.pop()
        if self._open and (self._open[-1], tag) in {
            ("task", "size"),
            ("job", "size"),
            ("original_size", "width"),
            ("original_size", "height"),
        }:
            if tag in self._meta:
                raise DamagedError("it is of several tasks; one is read")
            self._meta[tag] = _number(self._text, of=tag)
        elif tag == "attribute" and self._identity == "":
            self._identity = self._text.strip() or None
        elif tag == "mask" and self._mask.get("outside", "0") != "1":
            frame = _number(self._mask.get("frame"), of="frame")
            self._masks.append((frame, self._rle(), self._identity))
        elif tag == "track":
            self._take_track()

    def doctype(self, *_: object) -> None:
        raise DamagedError("it has a document type declaration, which no file of CVAT has")

    def frames(self) -> list[Gathered]:
        count = max([self._meta.get("size", 0), *(index + 1 for index in self._objects)])
        frames = []
        for index in range(count):
            frame = Gathered(index=index, size=self._size(), objects={})
            for key, rle in self._objects.get(index, ()):
                frame.add(key, rle)
            frames.append(frame)
        return frames

    def _take_track(self) -> None:
        several = len({frame for frame, _, _ in self._masks}) > 1
        group = self._track.get("group_id", "0")
        for frame, rle, identity in self._masks:
            key: Hashable
            if identity is not None:
                key = int(identity) if identity.isascii() and identity.isdigit() else identity
            elif group != "0":
                key = ("group", group)
            else:
                key = ("track", self._track.get("id")) if several else ("label", self._track.get("label"))
            self._objects.setdefault(frame, []).append((key, rle))
        self._masks.clear()

    def _size(self) -> tuple[int, int]:
        if not {"width", "height"} <= self._meta.keys():
            raise DamagedError("it does not tell the size of the frames (original_size)")
        size = self._meta["height"], self._meta["width"]
        check_size(size)
        return size

    def _rle(self) -> RLE:
        left, top, width, height = (_number(self._mask.get(n), of=n) for n in ("left", "top", "width", "height"))
        rows, columns = self._size()
        of = f"a mask of frame {self._mask.get('frame')}"
        if width < 1 or height < 1 or left + width > columns or top + height > rows:
            raise DamagedError(f"{of} reaches out of the picture")
        counts = [_number(count, of="rle") for count in self._mask.get("rle", "").split(",")]
        rest = width * height - sum(counts)
        if rest < 0:
            raise DamagedError(f"{of} has more pixels than its box")
        if len(counts) % 2:  # some writers leave the background at the end out
            counts[-1] += rest
        else:
            counts.append(rest)
        part = decode(RLE.from_coco({"size": [width, height], "counts": counts})).T
        mask = np.zeros((rows, columns), np.bool_)
        mask[top : top + height, left : left + width] = part
        return encode(np.ascontiguousarray(mask))


def _number(text: str | None, *, of: str) -> int:
    text = "" if text is None else text.strip()
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise DamagedError(f"{text!r} stands where {of} should be a number")
    return int(text)
