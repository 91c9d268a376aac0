"""A data set is videos, a video is frames, a frame is an image and its annotation."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeAlias

from covos.core.errors import SourceError, UsageError, listed
from covos.core.records import Record

Layout: TypeAlias = Literal["davis", "youtube-vos", "tianchi", "image-mask"]
Encoding: TypeAlias = Literal["ids", "binary", "soft"]
"""Meaning of the values of an annotation file.

``ids``: object ids, 0 = background, 255 = void. ``binary``: what is not 0 is the one object. ``soft``: 0..255 is how
much of the pixel belongs to the one object.
"""
Coverage: TypeAlias = Literal["every", "first", "some", "none"]
"""The frames of a video that are annotated; ``"first"`` is the first one alone."""


class NoSubsetError(SourceError):
    """A data set has no subset of the name that was asked for."""


@dataclass(frozen=True, slots=True)
class FrameRecord:
    """The files of one frame.

    Attributes:
        stem: The file name without its extension; image and annotation share it.
        image: The picture; None only in a tree that holds annotations alone.
        annotation: The mask; None where the frame has none.
    """

    stem: str
    image: Path | None
    annotation: Path | None


class ObjectInfo(Record, coerce_numbers_to_str=True):
    """Facts about one object, from its data set.

    Attributes:
        category: Such as ``"person"``; None where it is not told.
        frames: Stems of the frames it is annotated in; the first is where it appears.
    """

    category: str | None = None
    frames: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """The frames of one video in their order, or one picture as a video of one frame.

    Attributes:
        name: Unique in its data set.
        frames: In natural order of their stems.
        kind: ``"image"`` for a picture that has no neighbours in time.
        encoding: Meaning of the annotations' values.
        objects: Object id to what is known of it; empty where the data set does not tell.
        subset: The list or folder that names the video, such as ``"train"``.
        extra: Annotations that no image belongs to.
    """

    name: str
    frames: tuple[FrameRecord, ...]
    kind: Literal["video", "image"] = "video"
    encoding: Encoding = "ids"
    objects: Mapping[int, ObjectInfo] = field(default_factory=dict, hash=False)
    subset: str | None = None
    extra: tuple[Path, ...] = ()

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


# No slots: cached_property keeps its value in the instance's __dict__.
@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Videos with a common root.

    Attributes:
        name: The root folder's name.
        layout: Layout of the tree.
        root: The folder that was opened.
        videos: In natural order of their names, subset by subset where the layout has a folder for each.
        notes: Remarks from opening, one line each: listed videos that are missing, folders left out.
    """

    name: str
    layout: Layout
    root: Path
    videos: tuple[Video, ...]
    notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Video]:
        return iter(self.videos)

    def __len__(self) -> int:
        return len(self.videos)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __getitem__(self, name: str) -> Video:
        """Return the video of that name.

        Raises:
            UsageError: There is none.
        """
        video = self._by_name.get(name)
        if video is None:
            raise self._unknown([name])
        return video

    @cached_property
    def splits(self) -> dict[str, tuple[str, ...]]:
        """The names of the videos of each subset; videos in no subset are left out."""
        names: dict[str, list[str]] = {}
        for video in self.videos:
            if video.subset is not None:
                names.setdefault(video.subset, []).append(video.name)
        return {subset: tuple(members) for subset, members in names.items()}

    def subset(self, names: Iterable[str]) -> Dataset:
        """Return the data set with these videos alone, in this data set's order.

        Raises:
            UsageError: A name is not in the data set.
        """
        wanted = set(names)
        unknown = sorted(wanted - self._by_name.keys())
        if unknown:
            raise self._unknown(unknown)
        return replace(self, videos=tuple(video for video in self.videos if video.name in wanted))

    @cached_property
    def _by_name(self) -> dict[str, Video]:
        return {video.name: video for video in self.videos}

    def _unknown(self, names: list[str]) -> UsageError:
        close = difflib.get_close_matches(names[0], self._by_name, n=3)
        have = f"the closest names are {', '.join(close)}" if close else f"it has {listed(self._by_name, shown=4)}"
        return UsageError(
            f"{self.root}: no video {listed(names, shown=4)}",
            why=f"of the {len(self)} videos opened, {have}",
            fix="look at the names with: covos data inspect ROOT",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of `open_dataset` for the reader of a layout; None leaves the choice to it."""

    subset: str | None = None
    resolution: str | None = None
    encoding: Encoding | None = None
