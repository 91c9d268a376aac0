"""``cvat``: CVAT for video 1.1, ``cvat.xml``, to upload to a CVAT task of the same video; ``cvat=images``: for images.

CVAT has no tracks of masks: of a track with masks in several frames its import keeps the first alone. So each mask is a
track of one frame, as CVAT's own export has it, and the attribute ``track_id`` names the object. CVAT keeps this if the
task's label (``object``, unless objects have labels) has a number attribute of that name. A mask is cut to its box and
coded in rows, background first. Frames have the numbers that they have in the whole source, also where a part of it was
taken. For images, each frame is an image with its masks, and there are no tracks.

In files of CVAT an object is known by the attribute ``track_id``, else by the group of its track, else by the track if
that has several masks, else by its label (CVAT's own export makes a track of every single mask). In images, it is the
attribute, the group of the mask, or its label. Polygons are read as well as masks.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from xml.etree import ElementTree
from xml.etree.ElementTree import Element
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from covos.core.errors import AnnotationError
from covos.core.limits import limits, raising
from covos.formats.annotations import AnnotationFormat, picture_name
from covos.formats.base import ReadableFormat
from covos.formats.reading import (
    DamagedError,
    MaskInput,
    MasksRead,
    ReadFrame,
    check_frame_count,
    check_size,
    numbered,
)
from covos.masks import RLE, decode, encode
from covos.masks.frame_mask import FrameMask
from covos.masks.polygon import polygon_to_rle

IDENTITY = "track_id"
_ROOM = 10**10 - 1
"""A number that takes room for that of the frames: it, and the labels that occur, are known at the end only."""
_SHAPES = {"box", "polyline", "points", "ellipse", "cuboid", "skeleton"}


class CvatFormat(AnnotationFormat, ReadableFormat):
    """CVAT for video 1.1, to upload to a task of the same video; ``cvat=images`` for a task of its pictures.

    Each mask is written as it comes, and at the end the number of frames and the labels into the head.
    """

    name = "cvat"
    output = "cvat.xml"
    read_as = "CVAT XML"
    looks_like = "XML with the root 'annotations'"
    choices = ("video", "images")
    offers = "it is for a task of a video or of images"

    @classmethod
    def _remedy(cls, _: str) -> str:
        return "write cvat, or cvat=images"

    @property
    def _is_of_images(self) -> bool:
        return self._value == "images"

    def _opening(self, first: FrameMask) -> str:
        self._frames = 0
        self._tracks = 0
        self._pending: list[str] = []
        self._size = first.size
        self._used: set[str] = set()
        head = self._head(count=_ROOM, labels=self._labels.categories)
        self._room = len(_coded(head))
        return head

    def _head(self, *, count: int, labels: Iterable[str]) -> str:
        size = "" if self._is_of_images else _SIZE.format(height=self._size[0], width=self._size[1])
        return _HEAD.format(
            name=escape(_printed(Path(self._info.path).name)),
            labels="".join(_LABEL.format(label=escape(each), identity=IDENTITY) for each in labels),
            mode="annotation" if self._is_of_images else "interpolation",
            size=size,
            count=count,
        )

    def _frame(self, masks: FrameMask) -> str:
        self._frames = masks.number + 1
        self._used.update(map(self._labels.of, masks.objects))
        if self._is_of_images:
            return self._image(masks)
        text = self._closed(ends_at=masks.number)
        for identity, rle in masks.objects.items():
            head = f'  <track id="{self._tracks}" label={quoteattr(self._labels.of(identity))} source="auto">\n'
            own = f'frame="{masks.number}" keyframe="1" outside="0"'
            self._pending.append(head + _mask(own, rle, identity=identity))
            self._tracks += 1
        return text

    def _image(self, masks: FrameMask) -> str:
        height, width = masks.size
        name = quoteattr(_printed(picture_name(masks)))
        shapes = "".join(
            _mask(f'label={quoteattr(self._labels.of(identity))} source="auto"', rle, identity=identity)
            for identity, rle in masks.objects.items()
        )
        return f'  <image id="{masks.number}" name={name} width="{width}" height="{height}">\n{shapes}  </image>\n'

    def _end(self) -> None:
        self._put(self._closed(ends_at=None) + "</annotations>\n")
        head = self._head(count=self._frames, labels=[label for _, label in self._labels.listed(self._used)])
        blanks = self._room - len(_coded(head))  # behind the head, where they are between two elements
        self._put(head.removesuffix("\n") + " " * blanks + "\n", position=0)

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
        """Read a file, a track at a time."""
        try:
            with masks.opened() as file:
                frames = _frames(file)
        except (ElementTree.ParseError, LookupError, ValueError) as error:  # the others are of encodings
            raise DamagedError(f"it is not whole XML: {error}") from error
        return MasksRead(format=cls.name, path=masks.path, frames=numbered(frames))


def _coded(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def rows_of(rle: RLE) -> tuple[tuple[int, int, int, int], list[int]]:
    """Code a mask as CVAT does.

    Returns:
        Its box (left, top, width, height), and the lengths of the runs along the rows of that box, background first.
    """
    left, top, width, height = rle.bbox
    part = decode(rle)[top : top + height, left : left + width]
    # Down the columns of the transposed part is along its rows.
    return rle.bbox, encode(np.ascontiguousarray(part.T)).counts.tolist()


def _printed(name: str) -> str:
    """Return a name without control characters, which XML has not."""
    return "".join(each if each.isprintable() else "?" for each in name)


def _mask(own: str, rle: RLE, *, identity: int) -> str:
    """Return a mask with its own attributes."""
    (left, top, width, height), counts = rows_of(rle)
    return (
        f'    <mask {own} occluded="0" rle="{", ".join(map(str, counts))}" '
        f'left="{left}" top="{top}" width="{width}" height="{height}" z_order="0">\n'
        f'      <attribute name="{IDENTITY}">{identity}</attribute>\n'
        "    </mask>\n"
    )


_OUTSIDE = (
    '    <mask frame="{frame}" keyframe="1" outside="1" occluded="0" rle="1" '
    'left="0" top="0" width="1" height="1" z_order="0">\n    </mask>\n'
)
_LABEL = """        <label>
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
"""
_HEAD = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta>
    <task>
      <name>{name}</name>
      <size>{count}</size>
      <mode>{mode}</mode>
      <overlap>0</overlap>
      <labels>
{labels}      </labels>
{size}    </task>
  </meta>
"""
_SIZE = """      <original_size>
        <width>{width}</width>
        <height>{height}</height>
      </original_size>
"""


def _frames(file: BinaryIO) -> list[ReadFrame]:
    _refuse_document_type(file)
    described: dict[str, int] = {}
    objects: dict[int, list[tuple[Hashable, RLE]]] = {}
    images: list[ReadFrame] = []
    for element in _parts(file):
        if element.tag == "meta":
            _describe(element, described)
        elif element.tag == "track":
            for number, key, rle in _masks(element, described):
                objects.setdefault(number, []).append((key, rle))
        elif element.tag == "image":
            images.append(_image(element))
            check_frame_count(len(images))
    if images and objects:
        raise DamagedError("it has images and tracks; one kind is read", fix="export it for video, or for images")
    if images:
        return images
    count = max([described.get("size", 0), *(index + 1 for index in objects)])
    check_frame_count(count)
    frames = [ReadFrame(index=index, size=_size(described)) for index in range(count)]
    for frame in frames:
        for key, rle in objects.get(frame.index, ()):
            frame.add(key, rle)
    return frames


def _parts(file: BinaryIO) -> Iterator[Element]:
    """Yield what is in the root, each when it is whole; after that, it takes no memory."""
    count, depth, most = 0, 0, limits()
    root: Element | None = None
    for event, element in ElementTree.iterparse(file, events=("start", "end")):
        count, depth = count + (event == "start"), depth + (1 if event == "start" else -1)
        if count > most.values:
            raise DamagedError(f"it has more than {most.values} elements", fix=raising("values"))
        if depth > most.depth:
            raise DamagedError(f"it has more than {most.depth} levels", fix=raising("depth"))
        if root is None:
            root = element
            if root.tag != "annotations":
                raise DamagedError(f"it is no file of CVAT: its root is {root.tag!r}")
        elif event == "end" and depth == 1:
            yield element
            root.clear()


class _RootMetError(Exception):
    """Ends the first look at a file."""


def _refuse_document_type(file: BinaryIO) -> None:
    """Look at what stands before the root: a declaration there may define entities that grow without end."""

    def refuse(*_: object) -> None:
        raise DamagedError("it has a document type declaration, which no file of CVAT has")

    def end(*_: object) -> None:
        raise _RootMetError

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler, parser.StartElementHandler = refuse, end
    with suppress(_RootMetError, expat.ExpatError):  # the one who reads on reports a fault
        parser.ParseFile(file)
    file.seek(0)


def _describe(meta: Element, described: dict[str, int]) -> None:
    """Add the number of frames and their width and height, as far as they are stated."""
    for name in ("task/size", "job/size", "original_size/width", "original_size/height"):
        for element in meta.findall(f".//{name}"):
            if element.tag in described:
                raise DamagedError("it is of several tasks; one is read", fix="export each task by itself")
            described[element.tag] = _number(element.text, of=element.tag)


def _size(described: dict[str, int]) -> tuple[int, int]:
    if not {"width", "height"} <= described.keys():
        raise DamagedError("it does not state the size of the frames (original_size)")
    size = described["height"], described["width"]
    check_size(size)
    return size


def _image(image: Element) -> ReadFrame:
    """Return an image with its masks. CVAT lists those without any as well."""
    number, width, height = (_number(image.get(name), of=name) for name in ("id", "width", "height"))
    frame = ReadFrame(index=number, size=(height, width), stem=PurePosixPath(image.get("name", "")).stem)
    for shape in image:
        _refuse_shape(shape, frame=number)
        if shape.tag in {"mask", "polygon"}:
            group = shape.get("group_id", "0")
            key: Hashable = ("label", shape.get("label")) if group == "0" else ("group", group)
            frame.add(_identity(shape, key), _pixels(shape, frame.size, number=number))
    return frame


def _refuse_shape(element: Element, *, frame: object) -> None:
    if element.tag in _SHAPES:
        raise DamagedError(
            f"it has a {element.tag} in frame {frame}; masks and polygons are read",
            fix="draw masks or polygons in its place, or remove it, and export again",
        )


def _identity(shape: Element, key: Hashable) -> Hashable:
    """Return the number that a shape says, or what else it says; the key if it says nothing."""
    named = shape.find(f"attribute[@name='{IDENTITY}']")
    text = "" if named is None else (named.text or "").strip()
    return (int(text) if text.isascii() and text.isdigit() else text) if text else key


def _pixels(shape: Element, size: tuple[int, int], *, number: int) -> RLE:
    return (_rle if shape.tag == "mask" else _polygon)(shape, size, number=number)


def _masks(track: Element, described: dict[str, int]) -> list[tuple[int, Hashable, RLE]]:
    """Return the frame, object and pixels of each mask of a track."""
    for element in track.iter():
        _refuse_shape(element, frame=element.get("frame"))
    masks = [mask for mask in track.iter() if mask.tag in {"mask", "polygon"} and mask.get("outside", "0") != "1"]
    numbers = [_number(mask.get("frame"), of="frame") for mask in masks]
    key: Hashable
    if (group := track.get("group_id", "0")) != "0":
        key = ("group", group)
    else:
        key = ("track", track.get("id")) if len(set(numbers)) > 1 else ("label", track.get("label"))
    return [
        (number, _identity(mask, key), _pixels(mask, _size(described), number=number))
        for number, mask in zip(numbers, masks, strict=True)
    ]


def _polygon(polygon: Element, size: tuple[int, int], *, number: int) -> RLE:
    try:
        corners = [float(each) for pair in polygon.get("points", "").split(";") for each in pair.split(",")]
        return polygon_to_rle(corners, size=size)
    except (ValueError, AnnotationError) as error:
        why = error.why if isinstance(error, AnnotationError) else str(error)
        raise DamagedError(f"a polygon of frame {number} cannot be read: {why}") from error


def _rle(mask: Element, size: tuple[int, int], *, number: int) -> RLE:
    left, top, width, height = (_number(mask.get(name), of=name) for name in ("left", "top", "width", "height"))
    of = f"a mask of frame {number}"
    if width < 1 or height < 1 or left + width > size[1] or top + height > size[0]:
        raise DamagedError(f"{of} reaches out of the picture")
    counts = [_number(count, of="rle") for count in mask.get("rle", "").split(",")]
    rest = width * height - sum(counts)
    if rest < 0:
        raise DamagedError(f"{of} has more pixels than its box")
    if len(counts) % 2:  # some writers leave the background at the end out
        counts[-1] += rest
    else:
        counts.append(rest)
    whole = np.zeros(size, np.bool_)
    whole[top : top + height, left : left + width] = decode(
        RLE.from_coco({"size": [width, height], "counts": counts})
    ).T
    return encode(whole)


def _number(text: str | None, *, of: str) -> int:
    text = "" if text is None else text.strip()
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise DamagedError(f"{text!r} stands where {of} should be a number")
    return int(text)
