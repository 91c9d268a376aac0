"""COCO instance segmentation, ``coco.json``, and YouTube-VIS, ``ytvis.json``: masks as compressed run-length codes.

COCO has an image for each frame, YouTube-VIS a mask or null for each object and frame. Files of other tools are read if
they are of one video. In COCO an object is known by ``track_id``, of the annotation or of its ``attributes`` (as CVAT
exports it), else by category, if no picture has two of one. Each annotation of a single picture is an object. In
YouTube-VIS it is known by the id of its annotation. Polygons cover the pixels that COCO's own code gives them (see
`covos.masks.polygon`). Lists of results are read as well (see `covos.formats.detections`).
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from covos._version import __version__
from covos.core.labelling import NO_LABELS, Labelling
from covos.core.records import Record
from covos.core.types import SourceInfo
from covos.formats.annotations import AnnotationFormat, picture_name
from covos.formats.base import ReadableFormat
from covos.formats.detections import ONE_VIDEO, CocoResult, coco_frames, is_list_of, ytvis_frames
from covos.formats.reading import DamagedError, MaskInput, MasksRead, ReadFrame, numbered, parsed, rle_of, time_base_of
from covos.masks.frame_mask import FrameMask
from covos.media.images import natural_key

_TRACKED = "give each annotation the number of its object as 'track_id', or name another file of masks"


class CocoFormat(AnnotationFormat, ReadableFormat):
    """COCO annotations of all frames in one file, which ``pycocotools`` reads.

    They are written as they come; of the images a line each is kept for the end.
    """

    name = "coco"
    own_sizes = True
    output = "coco.json"
    read_as = "COCO JSON"
    looks_like = "an object with 'images' and 'annotations', or a list of results with 'image_id' and 'segmentation'"

    def _opening(self, first: FrameMask) -> str:
        self._images: list[str] = []
        self._used: set[str] = set()
        self._rows = 0
        head = coco_head(self._info, time_base=first.time_base)
        return json.dumps(head, ensure_ascii=False).removesuffix("}") + ',\n"annotations": ['

    def _frame(self, masks: FrameMask) -> str:
        self._images.append(json.dumps(_image(masks), ensure_ascii=False))
        self._used.update(map(self._labels.of, masks.objects))
        rows = _annotations(masks, first=self._rows + 1, labels=self._labels)
        text = "".join(f"{',' if self._rows + place else ''}\n{json.dumps(row)}" for place, row in enumerate(rows))
        self._rows += len(rows)
        return text

    def _end(self) -> None:
        self._put(f'\n],\n"categories": {_categories(self._labels, self._used)},\n"images": [\n')
        self._put(",\n".join(self._images))
        self._put("\n]}\n")

    @classmethod
    def recognise(cls, masks: MaskInput) -> bool:
        """Return True for a JSON object with images, or with annotations and no videos, and for a list of results."""
        if is_list_of(masks.json, keys={"image_id", "segmentation"}):
            return True
        return isinstance(masks.json, dict) and (
            "images" in masks.json or ("annotations" in masks.json and "videos" not in masks.json)
        )

    @classmethod
    def read(cls, masks: MaskInput) -> MasksRead:
        """Read a file of one video."""
        if isinstance(masks.json, list):
            frames, results = coco_frames(masks.json)
            add_annotations(frames, results)
            return MasksRead(format=cls.name, path=masks.path, frames=numbered(frames.values()))
        content = parsed(CocoFile, masks.json)
        if len({row.video_id for row in content.images}) > 1:
            raise DamagedError("its images are of several videos", fix=ONE_VIDEO)
        told = all(row.frame_index is not None for row in content.images)
        # A file may list its images in any order: without numbers, they come as the pictures of a folder do.
        images = sorted(content.images, key=lambda row: (natural_key(Path(row.file_name).stem), row.id))
        frames = {
            row.id: ReadFrame(
                index=row.frame_index if told and row.frame_index is not None else place,
                stem=Path(row.file_name).stem,
                pts=row.pts if isinstance(row.pts, int) else None,
                size=(row.height, row.width),
            )
            for place, row in enumerate(images)
        }
        if len(frames) != len(content.images):
            raise DamagedError("two of its images have the same id")
        add_annotations(frames, content.annotations)
        ordered, time_base = numbered(frames.values()), time_base_of(content.info)
        return MasksRead(format=cls.name, path=masks.path, frames=ordered, time_base=time_base)


def add_annotations(frames: Mapping[int, ReadFrame], rows: Sequence[CocoAnnotation | CocoResult]) -> None:
    """Add masks to the frames of their pictures, by image id."""
    untracked: set[tuple[int, Hashable]] = set()
    for place, row in enumerate(rows):
        of = f"annotation {row.id}" if isinstance(row, CocoAnnotation) else f"result {place}"
        if row.image_id not in frames:
            raise DamagedError(f"{of} belongs to image {row.image_id}, which is not listed")
        frame = frames[row.image_id]
        identity: Hashable = _track(row)
        if identity is None and len(frames) == 1:
            identity = ("instance", place)  # in one picture, each is an object of its own
        elif identity is None:
            if row.category_id is None:
                raise DamagedError(f"{of} has neither a 'track_id' nor a 'category_id'", fix=_TRACKED)
            identity = f"category {row.category_id}"
            if (row.image_id, identity) in untracked:
                raise DamagedError(
                    f"{of} is the second of {identity} in image {row.image_id}, and without a 'track_id' nothing "
                    "shows which of them is which object in the other images",
                    fix=_TRACKED,
                )
            untracked.add((row.image_id, identity))
        frame.add(identity, rle_of(row.segmentation, of=of, size=frame.size))


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


def _track(row: CocoAnnotation | CocoResult) -> int | str | None:
    track = row.track_id
    if track is None and isinstance(row, CocoAnnotation) and isinstance(row.attributes, dict):
        track = row.attributes.get("track_id")
    return track if track is None or type(track) is int else str(track)


def coco_content(frames: Iterable[FrameMask], *, info: SourceInfo, labels: Labelling = NO_LABELS) -> dict[str, Any]:
    """Return the content of a COCO file of a source's frames, which come in order."""
    used: set[str] = set()
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    time_base = info.time_base
    for masks in frames:
        time_base = masks.time_base
        images.append(_image(masks))
        used.update(map(labels.of, masks.objects))
        annotations += _annotations(masks, first=len(annotations) + 1, labels=labels)
    head = coco_head(info, time_base=time_base)
    return {**head, "annotations": annotations, "categories": _rows(labels, used), "images": images}


def coco_head(info: SourceInfo, *, time_base: Fraction) -> dict[str, Any]:
    """Return all but the images, annotations and categories."""
    about = {"description": f"masks of {Path(info.path).name}", "version": f"covos {__version__}"}
    return {"info": {**about, "time_base": str(time_base)}, "licenses": []}


def _rows(labels: Labelling, used: Iterable[str]) -> list[dict[str, Any]]:
    return [{"id": number, "name": name, "supercategory": ""} for number, name in labels.listed(used)]


def _categories(labels: Labelling, used: Iterable[str]) -> str:
    return json.dumps(_rows(labels, used), ensure_ascii=False)


def _image(masks: FrameMask) -> dict[str, Any]:
    """Return the row of a frame; ``pts`` counts units of the head's ``time_base``."""
    return {
        "id": masks.number + 1,  # COCO's own evaluation takes an id of 0 for none
        "file_name": picture_name(masks),
        "height": masks.size[0],
        "width": masks.size[1],
        "frame_index": masks.number,
        "pts": masks.pts,
    }


def _annotations(masks: FrameMask, *, first: int, labels: Labelling) -> list[dict[str, Any]]:
    """Return a row for each object of a frame, numbered from ``first``."""
    return [
        {
            "id": number,
            "image_id": masks.number + 1,
            "category_id": labels.category(identity),
            "track_id": identity,
            "segmentation": rle.to_coco(),
            "area": rle.area,
            "bbox": list(rle.bbox),
            "iscrowd": 0,
        }
        for number, (identity, rle) in enumerate(masks.objects.items(), start=first)
    ]


_Track = dict[int, tuple[str, str, str]]
"""Position of a frame to the JSON of a mask, its box and its area."""


class YtvisFormat(AnnotationFormat, ReadableFormat):
    """YouTube-VIS annotations: the masks of each object over the whole video.

    They are collected: memory grows with their run-length code, not with pictures.
    """

    name = "ytvis"
    output = "ytvis.json"
    read_as = "YouTube-VIS JSON"
    looks_like = "an object with 'videos' and 'annotations', or a list of results with 'video_id' and 'segmentations'"

    def _opening(self, first: FrameMask) -> str:
        self._frames: list[dict[str, Any]] = []
        self._size = first.size
        self._tracks: dict[int, _Track] = {}
        return json.dumps(coco_head(self._info, time_base=first.time_base), ensure_ascii=False).removesuffix("}")

    def _frame(self, masks: FrameMask) -> str:
        place = len(self._frames)
        self._frames.append({"name": picture_name(masks), "index": masks.number, "pts": masks.pts})
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
        used = map(self._labels.of, self._tracks)
        self._put(f',\n"categories": {_categories(self._labels, used)}')
        self._put(f',\n"videos": [{json.dumps(video, ensure_ascii=False)}],\n"annotations": [')
        for number, identity in enumerate(sorted(self._tracks)):
            category = self._labels.category(identity)
            head = {"id": identity, "video_id": 1, "category_id": category, "iscrowd": 0, **size}
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
        """Return True for a JSON object with videos and no images, and for a list of results."""
        if is_list_of(masks.json, keys={"video_id", "segmentations"}):
            return True
        return isinstance(masks.json, dict) and "videos" in masks.json and "images" not in masks.json

    @classmethod
    def read(cls, masks: MaskInput) -> MasksRead:
        """Read a file of one video."""
        if isinstance(masks.json, list):
            return MasksRead(format=cls.name, path=masks.path, frames=numbered(ytvis_frames(masks.json)))
        content = parsed(YtvisFile, masks.json)
        if len(content.videos) != 1:
            raise DamagedError(f"it has {len(content.videos)} videos; one is read", fix=ONE_VIDEO)
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
                    frame.add(row.id, rle_of(mask, of=f"{of}, frame {frame.index}", size=frame.size))
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
