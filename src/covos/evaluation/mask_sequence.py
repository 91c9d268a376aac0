"""The masks of one sequence on disk: a folder of files, a folder an object, or a video."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from covos.errors import AnnotationError
from covos.evaluation.frame_masks import FrameMasks, LabelMasks, LayerMasks
from covos.masks import read_binary_mask, read_label_map

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadMasks:
    """The masks of one frame and where they come from.

    Attributes:
        stem: The frame's name.
        where: The file, for messages.
        masks: The objects.
    """

    stem: str
    where: str
    masks: FrameMasks


class MaskSequence(Protocol):
    """The masks of one sequence, in order."""

    @property
    def name(self) -> str:
        """Name of the sequence."""
        ...

    @property
    def where(self) -> str:
        """Where it lies, for messages."""
        ...

    @property
    def stems(self) -> tuple[str, ...]:
        """Names of the frames that have a mask, in order."""
        ...

    def read(self, stems: Sequence[str]) -> Iterator[ReadMasks]:
        """Read the masks of these frames one by one.

        Args:
            stems: Names out of ``self.stems``, in order.

        Raises:
            AnnotationError: A mask cannot be read.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskFolder:
    """One file a frame.

    Attributes:
        name: Name of the sequence.
        folder: Where the files lie.
        files: By frame name, in order.
    """

    name: str
    folder: Path
    files: Mapping[str, Path]

    @property
    def where(self) -> str:
        """The folder, for messages."""
        return str(self.folder)

    @property
    def stems(self) -> tuple[str, ...]:
        """Names of the frames, in order."""
        return tuple(self.files)

    def read(self, stems: Sequence[str]) -> Iterator[ReadMasks]:
        """Read the masks of these frames one by one."""
        for stem in stems:
            path = self.files[stem]
            yield ReadMasks(stem=stem, where=str(path), masks=LabelMasks(read_label_map(path)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectFolders:
    """One folder an object, with one binary mask a frame in which the object is there.

    Attributes:
        name: Name of the sequence.
        folder: Where the folders lie.
        files: By object id, then by frame name.
        stems: Names of the frames that any object has, in order.
    """

    name: str
    folder: Path
    files: Mapping[int, Mapping[str, Path]]
    stems: tuple[str, ...]

    @property
    def where(self) -> str:
        """The folder, for messages."""
        return str(self.folder)

    def read(self, stems: Sequence[str]) -> Iterator[ReadMasks]:
        """Read the masks of these frames one by one."""
        for stem in stems:
            paths = {number: files[stem] for number, files in self.files.items() if stem in files}
            layers = {number: read_binary_mask(path).view(np.uint8) for number, path in paths.items()}
            sizes = sorted({mask.shape for mask in layers.values()})
            if len(sizes) > 1:
                raise AnnotationError(
                    f"{self.folder}: the objects' masks of frame {stem} differ in size",
                    why=" and ".join(f"{w}x{h}" for h, w in sizes),
                    fix="export all objects at the size of the frames",
                )
            masks = LayerMasks(layers, size=sizes[0])
            yield ReadMasks(stem=stem, where=str(next(iter(paths.values()))), masks=masks)
