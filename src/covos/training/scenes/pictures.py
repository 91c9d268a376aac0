"""Pictures and annotations as they were read before: decoding them is dear, and training comes back to them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from covos import data
from covos.core.places import Place
from covos.core.types import ImageArray, LabelArray
from covos.data import FrameRecord, Video
from covos.data.reading import Foreground

MOST_BYTES = 256 * 2**20
"""Each process that draws keeps so much in memory, at most."""


class ReadBefore:
    """The pictures that were read last, up to a number of bytes. The arrays are shared, and so they are read-only."""

    def __init__(self, *, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._size = 0
        self._kept: OrderedDict[tuple[str, Place | None], tuple[NDArray[np.generic], ...]] = OrderedDict()

    def read(
        self, what: str, path: Place | None, reader: Callable[[], tuple[NDArray[np.generic], ...]]
    ) -> tuple[NDArray[np.generic], ...]:
        """Return what a reader returns for a path: as it was read before, or read now."""
        key = what, path
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        arrays = reader()
        for array in arrays:
            array.flags.writeable = False
        self._kept[key] = arrays
        self._size += sum(array.nbytes for array in arrays)
        while self._size > self._most:
            _, oldest = self._kept.popitem(last=False)
            self._size -= sum(array.nbytes for array in oldest)
        return arrays


_READ = ReadBefore()


def read_image(record: FrameRecord) -> ImageArray:
    """Read a frame's picture, see `covos.data.read_image`; it is read-only."""
    (image,) = _READ.read("image", record.image, lambda: (data.read_image(record),))
    return np.asarray(image, np.uint8)


def read_labels(video: Video, record: FrameRecord) -> LabelArray:
    """Read a frame's annotation as ids, see `covos.data.read_labels`; it is read-only."""
    (labels,) = _READ.read(f"labels, {video.encoding}", record.annotation, lambda: (data.read_labels(video, record),))
    return np.asarray(labels, np.uint8)


def read_foreground(video: Video, record: FrameRecord) -> Foreground:
    """Read a frame's annotation as one subject, see `covos.data.read_foreground`; it is read-only."""
    probability, valid = _READ.read(
        f"foreground, {video.encoding}", record.annotation, lambda: data.read_foreground(video, record)
    )
    return Foreground(np.asarray(probability, np.float32), np.asarray(valid, np.bool_))
