"""Data sets of videos and pictures with annotations: opened by layout, paired by name, split, sampled, checked.

For example:

    >>> from covos.data import open_dataset, read_foreground, read_image
    >>> davis = open_dataset("DAVIS", subset="train")
    >>> video = davis["bear"]
    >>> image = read_image(video.frames[0])
    >>> probability, valid = read_foreground(video, video.frames[0])
"""

from __future__ import annotations

from covos.data.base import Coverage, Dataset, Encoding, FrameRecord, Layout, NoSubsetError, ObjectInfo, Video
from covos.data.checks import Inspection, Problem, VideoReport, inspect
from covos.data.opening import Collection, open_collection, open_dataset
from covos.data.preview import preview
from covos.data.reading import Foreground, read_foreground, read_image, read_labels
from covos.data.sampling import GuidedClip, guided_clip, pairs, random_subset, sample_group, split_ratio

__all__ = [
    "Collection",
    "Coverage",
    "Dataset",
    "Encoding",
    "Foreground",
    "FrameRecord",
    "GuidedClip",
    "Inspection",
    "Layout",
    "NoSubsetError",
    "ObjectInfo",
    "Problem",
    "Video",
    "VideoReport",
    "guided_clip",
    "inspect",
    "open_collection",
    "open_dataset",
    "pairs",
    "preview",
    "random_subset",
    "read_foreground",
    "read_image",
    "read_labels",
    "sample_group",
    "split_ratio",
]
