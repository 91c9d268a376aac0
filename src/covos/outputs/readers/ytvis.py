"""Read YouTube-VIS files of one video; the id of an annotation is its object's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from covos.outputs.readers.base import (
    DamagedError,
    Gathered,
    MasksRead,
    field,
    in_order,
    numbered,
    rle_of,
    time_base_of,
)


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
