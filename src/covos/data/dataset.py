"""A data set: videos with a common root, split and drawn from the same way on every machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Never, SupportsIndex, overload

import numpy as np

from covos.core.errors import UsageError
from covos.core.places import Place
from covos.core.progress import counted
from covos.data.base import (
    Layout,
    checked_position,
    checked_ratio,
    in_random_order,
    no_such_key,
    no_such_name,
    no_tensors,
)
from covos.data.video import Video, html_of

_SHOWN = 8
"""Videos that a notebook shows."""


# No slots: cached_property keeps its value in the instance's __dict__.
@dataclass(frozen=True, kw_only=True, repr=False)
class Dataset:
    """Videos with a common root: ``dataset[0]``, ``dataset["bear"]``, and ``dataset[2:5]``, a data set of three.

    Attributes:
        name: The root folder's name.
        layout: Layout of the tree.
        root: The folder that was opened, on a disk or packed in shards.
        videos: In natural order of their names, subset by subset where the layout has a folder for each.
        notes: Remarks from opening, one line each: listed videos that are missing, folders left out.
    """

    name: str
    layout: Layout
    root: Place
    videos: tuple[Video, ...]
    notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Video]:
        return iter(self.videos)

    def __len__(self) -> int:
        return len(self.videos)

    def __contains__(self, video: object) -> bool:
        """Return True for the name of a video, and for a video."""
        return self._by_name.get(video.name) == video if isinstance(video, Video) else video in self._by_name

    @overload
    def __getitem__(self, key: SupportsIndex | str) -> Video: ...

    @overload
    def __getitem__(self, key: slice) -> Dataset: ...

    def __getitem__(self, key: SupportsIndex | str | slice) -> Video | Dataset:
        """Return a video by its place or name, or the data set of a slice.

        Raises:
            IndexError: There is no video at this place.
            UsageError: There is none of this name, or the key is neither a place nor a name nor a slice.
        """
        if isinstance(key, slice):
            return replace(self, videos=self.videos[key])
        if isinstance(key, str):
            video = self._by_name.get(key)
            if video is None:
                raise no_such_name(key, among=list(self._by_name), of=self.root, what="video")
            return video
        if not hasattr(key, "__index__"):
            raise no_such_key(
                key, of=f"{self.root}: the data set", names=self.videos[0].name if self.videos else "bear"
            )
        return self.videos[checked_position(key, count=len(self), what="video")]

    def __getitems__(self, places: object) -> Never:
        """Say what a DataLoader of torch takes: it asks for batches by this name."""
        raise no_tensors("a data set of videos")

    def __repr__(self) -> str:
        return f"Dataset({self.name!r}, {self.layout}, {self.summary})"

    def _repr_html_(self) -> str:
        """Show a frame of a few videos, for notebooks."""
        some = [video for video in self.videos if len(video)]
        chosen = [some[int(place)] for place in np.linspace(0, len(some) - 1, min(_SHOWN, len(some))).round()]
        shown = [(video, video.first_annotation or video.frames[0]) for video in chosen]
        return html_of(shown, text=repr(self))

    @property
    def summary(self) -> str:
        """A line that says what the data set holds; no file is opened for it."""
        pictures = sum(video.kind == "image" for video in self.videos)
        kinds = ((len(self) - pictures, "video"), (pictures, "picture"))
        things = " and ".join(counted(count, what) for count, what in kinds if count) or "no videos"
        subsets = ", ".join(f"{name} {len(names)}" for name, names in self.splits.items())
        frames = sum(len(video) for video in self.videos)
        annotated = sum(len(video.annotated) for video in self.videos)
        return things + (f" ({subsets})" if subsets else "") + f", {counted(frames, 'frame')}, {annotated} annotated"

    @cached_property
    def splits(self) -> dict[str, tuple[str, ...]]:
        """The names of the videos of each subset; videos in no subset are left out."""
        names: dict[str, list[str]] = {}
        for video in self.videos:
            if video.subset is not None:
                names.setdefault(video.subset, []).append(video.name)
        return {subset: tuple(members) for subset, members in names.items()}

    def subset(self, names: Iterable[str]) -> Dataset:
        """Return the data set with these videos alone (one name, or several), in this data set's order.

        Raises:
            UsageError: A name is not in the data set.
        """
        wanted = {names} if isinstance(names, str) else set(names)
        unknown = sorted(str(name) for name in wanted - self._by_name.keys())
        if unknown:
            raise no_such_name(*unknown, among=list(self._by_name), of=self.root, what="video")
        return replace(self, videos=tuple(video for video in self.videos if video.name in wanted))

    def split(self, ratio: float = 0.8, *, seed: int = 0) -> tuple[Dataset, Dataset]:
        """Divide the videos into two parts, for training and validation.

        The side of a video depends on its name, the other names and the seed, not on the order of files: it is the same
        on every machine.

        Args:
            ratio: Share of the first part, between 0 and 1; each part gets at least one video.
            seed: Another seed, another division.

        Returns:
            The two parts: disjoint, together the whole, each in the data set's order.

        Raises:
            UsageError: There are fewer than two videos, or ``ratio`` is not between 0 and 1.
        """
        ratio = checked_ratio(ratio)
        if len(self) < 2:
            raise UsageError(
                f"{self.root}: cannot split {counted(len(self), 'video')} into two parts",
                why="each part needs at least one video",
                fix="add videos, or validate on another data set",
            )
        count = min(max(round(ratio * len(self)), 1), len(self) - 1)
        names = self._shuffled(seed)
        return self.subset(names[:count]), self.subset(names[count:])

    def random(self, count: int, *, seed: int = 0) -> Dataset:
        """Choose some of the videos at random; a larger count with the same seed keeps those of a smaller.

        Args:
            count: Number of videos, from 1 to all.
            seed: Another seed, other videos; the same on every machine.

        Returns:
            The data set with these videos alone, in its order.

        Raises:
            UsageError: ``count`` is below 1 or above the number of videos.
        """
        if not 1 <= count <= len(self):
            raise UsageError(
                f"{self.root}: cannot take {count} videos at random",
                why=f"the data set has {len(self)}",
                fix=f"ask for 1 to {len(self)}",
            )
        return self.subset(self._shuffled(seed)[:count])

    def _shuffled(self, seed: int) -> list[str]:
        return sorted(self._by_name, key=lambda name: in_random_order(name, seed=seed))

    @cached_property
    def _by_name(self) -> dict[str, Video]:
        return {video.name: video for video in self.videos}
