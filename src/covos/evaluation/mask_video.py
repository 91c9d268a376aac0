"""Masks stored as a video: white on black, ids as greys, or the colours of the DAVIS palette."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from covos.errors import AnnotationError
from covos.evaluation.frame_masks import LabelMasks
from covos.evaluation.mask_sequence import ReadMasks
from covos.masks.ids import ids_of_picture

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from covos.types import Frame, ImageArray, LabelArray

VIDEO_SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpg", ".webm"})
_LOSSLESS = frozenset({"ffv1", "ffvhuff", "huffyuv", "png", "qtrle", "rawvideo", "utvideo"})
_GREY_IDS = 64  # greys from here up are colours of the palette (object 56), or half white
_COLOURED = 48  # how far the channels of a lossy white on black may be apart


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskVideo:
    """One picture a frame.

    A video whose codec keeps every value is read exactly. Other codecs blur values along contours: of these, only
    white on black is read, and what is at least half white is the object.

    Attributes:
        name: Name of the sequence.
        path: The video.
        stems: Names of its frames, in order; those of the ground truth once it is paired with one.
        positions: For each name, the index of its frame in the video.
        codec: Name of the video codec.
    """

    name: str
    path: Path
    stems: tuple[str, ...]
    positions: tuple[int, ...]
    codec: str

    @classmethod
    def open(cls, path: Path, *, name: str) -> MaskVideo:
        """Look at a video; its frames are named 00000, 00001 and so on.

        Raises:
            SourceError: It cannot be read.
        """
        from covos.media import open_source  # brings FFmpeg

        with open_source(path) as source:
            count, codec = source.info.frame_count, source.info.codec
        stems = tuple(f"{index:05d}" for index in range(count))
        return cls(name=name, path=path, stems=stems, positions=tuple(range(count)), codec=codec)

    @property
    def where(self) -> str:
        """The file, for messages."""
        return str(self.path)

    @property
    def is_lossless(self) -> bool:
        """Whether the codec keeps every value."""
        return self.codec in _LOSSLESS

    def read(self, stems: Sequence[str]) -> Iterator[ReadMasks]:
        """Read the masks of these frames one by one.

        Raises:
            AnnotationError: A frame is missing or damaged, or its colours are no masks.
        """
        from covos.media import open_source

        index_of = dict(zip(self.stems, self.positions, strict=True))
        with open_source(self.path) as source:
            frames = source.select([index_of[stem] for stem in stems])
            for stem in stems:
                frame = next(frames, None)
                where = f"{self.path}, frame {index_of[stem]}"
                if frame is None or frame.index != index_of[stem] or frame.status != "ok":
                    raise AnnotationError(
                        f"{where} cannot be scored",
                        why="the frame is missing or damaged",
                        fix="export the masks again, as a folder of PNG files if need be",
                    )
                yield ReadMasks(stem=stem, where=where, masks=LabelMasks(self._labels(frame, where)))

    def _labels(self, frame: Frame, where: str) -> LabelArray:
        image = frame.image
        grey = np.ascontiguousarray(image[..., 0])
        if not self.is_lossless:
            return _thresholded(image, where)
        if not (image == image[..., :1]).all():
            return ids_of_picture(Image.fromarray(image), path=Path(where))
        between = grey[(grey >= _GREY_IDS) & (grey != 255)]
        return ids_of_picture(Image.fromarray(image), path=Path(where)) if between.size else grey


def _thresholded(image: ImageArray, where: str) -> LabelArray:
    spread = image.max(axis=2) - image.min(axis=2)
    if int(spread.max()) > _COLOURED:
        raise AnnotationError(
            f"{where} is coloured, in a video that does not keep colours",
            why="its codec changes values, so that ids cannot be told from its colours",
            fix="export masks of several objects as PNG files, or as a lossless video (FFV1)",
        )
    return np.where(image[..., 1] >= 128, np.uint8(255), np.uint8(0))
