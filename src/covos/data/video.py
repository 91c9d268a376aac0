"""A video of a data set: frames that are read when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Never, SupportsIndex, overload

import numpy as np

from covos.core.errors import InputError
from covos.core.places import Place
from covos.core.progress import counted
from covos.data.base import (
    Coverage,
    Encoding,
    FrameRecord,
    ObjectInfo,
    Size,
    checked_position,
    no_such_key,
    no_such_name,
    no_tensors,
)
from covos.data.reading import read_annotation, read_image
from covos.data.sample import Sample, as_html, pairs_sheet

_SHOWN = 4
"""Frames that a notebook shows."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Video:
    """The frames of one video in their order, or one picture as a video of one frame.

    ``video[3]`` and ``video["00012"]`` read a frame, ``video[2:5]`` is a part, and a loop reads frame after frame.
    ``frames`` only names files: nothing is read for it.

    Attributes:
        name: Unique in its data set.
        frames: In natural order of their stems.
        kind: ``"image"`` for a picture that has no neighbours in time.
        encoding: Meaning of the annotations' values.
        objects: Object id to what is known of it; empty if the data set does not state it.
        subset: The list or folder that names the video, such as ``"train"``.
        extra: Annotations that no image belongs to.
    """

    name: str
    frames: tuple[FrameRecord, ...]
    kind: Literal["video", "image"] = "video"
    encoding: Encoding = "ids"
    objects: Mapping[int, ObjectInfo] = field(default_factory=dict, hash=False)
    subset: str | None = None
    extra: tuple[Place, ...] = ()

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[Sample]:
        return (self.sample(number) for number in range(len(self)))

    def __contains__(self, frame: object) -> bool:
        return any(frame in (record, record.stem) for record in self.frames)

    @overload
    def __getitem__(self, key: SupportsIndex | str) -> Sample: ...

    @overload
    def __getitem__(self, key: slice) -> Video: ...

    def __getitem__(self, key: SupportsIndex | str | slice) -> Sample | Video:
        """Read a frame, see `sample`; of a slice, return the video of these frames, unread."""
        if isinstance(key, slice):
            return replace(self, frames=self.frames[key], extra=())
        return self.sample(key)

    def __getitems__(self, places: object) -> Never:
        """Say what a DataLoader of torch takes: it asks for batches by this name."""
        raise no_tensors("a video")

    def sample(self, key: SupportsIndex | str, *, size: Size | None = None) -> Sample:
        """Read the picture and the annotation of a frame.

        Args:
            key: Its place, from 0; negative from the end. Or its stem, such as ``"00012"``.
            size: Resize to this (height, width): pictures by area where they shrink, ids by nearest neighbour.

        Raises:
            IndexError: There is no frame at this place.
            UsageError: There is no frame of this stem, the key is neither, or ``size`` is no size.
            SourceError: The picture cannot be read.
            AnnotationError: The annotation cannot be read, or does not have the picture's size.
        """
        record = self.frame(key)
        labels, soft = (None, None) if record.annotation is None else read_annotation(self, record, size=size)
        return Sample(
            image=None if record.image is None else read_image(record, size=size),
            labels=labels,
            video=self.name,
            stem=record.stem,
            encoding=self.encoding,
            soft=soft,
        )

    def frame(self, key: SupportsIndex | str) -> FrameRecord:
        """Return the files of a frame; arguments and errors as for `sample`."""
        if isinstance(key, str):
            found = next((record for record in self.frames if record.stem == key), None)
            if found is None:
                raise no_such_name(key, among=[record.stem for record in self.frames], of=self.name, what="frame")
            return found
        if not hasattr(key, "__index__"):
            raise no_such_key(key, of=f"the video {self.name}", names="00012")
        return self.frames[checked_position(key, count=len(self), what="frame")]

    def spread(self, count: int) -> tuple[FrameRecord, ...]:
        """Return some frames that lie evenly over the video, the first and the last among them; all if it has fewer."""
        places = np.linspace(0, len(self) - 1, min(max(count, 0), len(self))).round()
        return tuple(self.frames[int(place)] for place in places)

    def __repr__(self) -> str:
        frames = f"{counted(len(self), 'frame')}, {len(self.annotated)} annotated ({self.encoding})"
        return f"Video({self.name!r}, {frames}" + (f", of {self.subset!r})" if self.subset else ")")

    def _repr_html_(self) -> str:
        """Show a few frames beside their annotations, for notebooks."""
        return html_of([(self, record) for record in self.spread(_SHOWN)], text=repr(self))

    @property
    def annotated(self) -> tuple[FrameRecord, ...]:
        """The frames that have an annotation."""
        return tuple(frame for frame in self.frames if frame.annotation is not None)

    @property
    def first_annotation(self) -> FrameRecord | None:
        """The first frame that has an annotation."""
        return next((frame for frame in self.frames if frame.annotation is not None), None)

    @property
    def coverage(self) -> Coverage:
        """The frames that are annotated; ``"first"`` is the first alone, as in the test videos of several sets."""
        count = len(self.annotated)
        if count == 0:
            return "none"
        if count == len(self.frames):
            return "every"
        return "first" if count == 1 and self.frames[0].annotation is not None else "some"


def html_of(frames: Sequence[tuple[Video, FrameRecord]], *, text: str) -> str:
    """Show frames beside their annotations above a text, for notebooks; the fault, if one of them cannot be read."""
    try:
        samples = [video.sample(record.stem) for video, record in frames]
    except InputError as error:  # a notebook must show a data set that is damaged
        return as_html(None, text=f"{text}: {error.what}")
    return as_html(pairs_sheet(samples) if samples else None, text=text)
