"""Data sets of videos and pictures with annotations: opened by layout, read, drawn, measured, split and packed.

For example:

    >>> from covos import data
    >>> davis = data.open_dataset("DAVIS", subset="train")
    >>> train, val = davis.split(0.8, seed=0)
    >>> image, labels = davis["bear"][0]
    >>> data.preview(davis["bear"]).save("bear.png")
    >>> print(data.statistics(davis))
    >>> pairs = data.PairDataset(train, size=(256, 448))
    >>> data.pack("DAVIS", "shards")

`FrameDataset`, `PairDataset` and `GroupDataset` are data sets of torch, which is loaded when one of them is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from covos.data.base import Coverage, Encoding, FrameRecord, Layout, NoSubsetError, ObjectInfo, Size
from covos.data.checks import Inspection, Problem, VideoReport, inspect, statistics
from covos.data.dataset import Dataset
from covos.data.measures import SizeCount, Spread, Statistics
from covos.data.opening import Collection, open_collection, open_dataset
from covos.data.packing import Packing, pack
from covos.data.preview import preview
from covos.data.reading import Foreground, read_foreground, read_image, read_labels
from covos.data.sample import Sample
from covos.data.sampling import GuidedClip, PairIndex, guided_clip, pairs, sample_group
from covos.data.video import Video

if TYPE_CHECKING:
    from covos.data.torch_sets import FrameDataset, GroupDataset, Item, PairDataset, Transform
else:

    def __getattr__(name: str) -> object:
        if name in ("FrameDataset", "GroupDataset", "Item", "PairDataset", "Transform"):
            return getattr(import_module("covos.data.torch_sets"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:  # for completion: names that are not loaded yet would be missing
        return __all__


__all__ = [
    "Collection",
    "Coverage",
    "Dataset",
    "Encoding",
    "Foreground",
    "FrameDataset",
    "FrameRecord",
    "GroupDataset",
    "GuidedClip",
    "Inspection",
    "Item",
    "Layout",
    "NoSubsetError",
    "ObjectInfo",
    "Packing",
    "PairDataset",
    "PairIndex",
    "Problem",
    "Sample",
    "Size",
    "SizeCount",
    "Spread",
    "Statistics",
    "Transform",
    "Video",
    "VideoReport",
    "guided_clip",
    "inspect",
    "open_collection",
    "open_dataset",
    "pack",
    "pairs",
    "preview",
    "read_foreground",
    "read_image",
    "read_labels",
    "sample_group",
    "statistics",
]
