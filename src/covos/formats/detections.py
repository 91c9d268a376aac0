"""Lists of results, as detectors write them for COCO's and YouTube-VIS's own evaluations: masks without their pictures.

COCO has an entry for each mask of a picture, YouTube-VIS one for each object, with its masks in all frames. Both state
neither names nor times. In COCO an object is known as in its annotations (see `covos.formats.coco`).
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from covos.core.records import Record
from covos.formats.reading import DamagedError, ReadFrame, parsed, rle_of

ONE_VIDEO = "write the masks of each video to a file of its own"


class CocoResult(Record, strict=True):
    """A mask."""

    image_id: int
    category_id: int | None = None
    track_id: Any = None
    segmentation: Any = None


class YtvisResult(Record, strict=True):
    """An object, with a mask or null for each frame."""

    video_id: Any = None
    segmentations: list[Any] = Field(min_length=1)


def is_list_of(content: object, *, keys: set[str]) -> bool:
    """Tell if decoded JSON is a list of objects, of which the first has these keys."""
    return isinstance(content, list) and bool(content) and isinstance(content[0], dict) and keys <= content[0].keys()


def coco_frames(content: list[Any]) -> tuple[dict[int, ReadFrame], list[CocoResult]]:
    """Return a frame for each picture that has a mask, in the order of their ids, and the masks."""
    results = [parsed(CocoResult, row, of=f"result {place}") for place, row in enumerate(content)]
    sizes: dict[int, tuple[int, int]] = {}
    for place, row in enumerate(results):
        if isinstance(row.segmentation, list):
            raise DamagedError(
                f"result {place} is a polygon, and a list of results does not state the pictures' size",
                fix="write the results as run lengths (RLE), or name a COCO file that lists its images",
            )
        sizes.setdefault(row.image_id, rle_of(row.segmentation, of=f"result {place}").size)
    return {key: ReadFrame(index=place, size=sizes[key]) for place, key in enumerate(sorted(sizes))}, results


def ytvis_frames(content: list[Any]) -> list[ReadFrame]:
    """Return the frames of one video, with its objects in the order of the list, from 1."""
    results = [parsed(YtvisResult, row, of=f"result {place}") for place, row in enumerate(content)]
    videos = {repr(row.video_id) for row in results}
    if len(videos) > 1:
        raise DamagedError(f"its results are of {len(videos)} videos; one is read", fix=ONE_VIDEO)
    count = len(results[0].segmentations)
    masks: list[tuple[int, int, Any]] = []
    for place, row in enumerate(results):
        if len(row.segmentations) != count:
            raise DamagedError(f"result {place} has {len(row.segmentations)} masks, the first {count}")
        masks += [
            (index, place + 1, rle_of(mask, of=f"result {place}, frame {index}"))
            for index, mask in enumerate(row.segmentations)
            if mask is not None
        ]
    if not masks:
        raise DamagedError("it has no mask, which would give the size of the frames")
    frames = [ReadFrame(index=index, size=masks[0][2].size) for index in range(count)]
    for index, identity, rle in masks:
        frames[index].add(identity, rle)
    return frames
