"""What the annotation formats that are one text file have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from covos.outputs.folder import OutputFolder
from covos.outputs.frame_mask import FrameMask
from covos.outputs.growing import GrowingFile
from covos.outputs.picture_names import PictureNames
from covos.types import FrameResult, SourceInfo

CATEGORY = "object"
"""The one category that annotations have: covos finds objects and does not name what they are."""


class AnnotationFile(ABC):
    """Writes a text file a frame at a time; a format says only what the text is.

    The content depends on the masks and the source alone: no clock, no random name.
    """

    name: ClassVar[str]
    file_name: ClassVar[str]
    labels_only: ClassVar[bool] = True
    warnings: tuple[str, ...] = ()

    def __init__(self, folder: OutputFolder, *, info: SourceInfo, source_path: Path) -> None:
        self._folder = folder
        self._info = info
        self._pictures = PictureNames(info)
        self._file: GrowingFile | None = None
        self._finished: tuple[Path, ...] = ()

    def write(self, result: FrameResult) -> None:
        """Add a frame."""
        masks = FrameMask.of(result)
        if self._file is None:
            self._file = GrowingFile(self._folder.file(self.file_name))
            self._file.write(self._opening(masks))
        self._file.write(self._frame(masks))

    def close(self) -> tuple[Path, ...]:
        """Finish the file."""
        if self._file is not None and not self._finished:
            self._end(self._file)
            self._file.finish()
            self._finished = (self._file.path,)
        return self._finished

    def abort(self) -> None:
        """Remove the unfinished file."""
        if self._file is not None and not self._finished:
            self._file.abort()
            self._file = None

    @abstractmethod
    def _opening(self, first: FrameMask) -> str:
        """The text before the first frame."""

    @abstractmethod
    def _frame(self, masks: FrameMask) -> str:
        """The text of a frame."""

    @abstractmethod
    def _end(self, file: GrowingFile) -> None:
        """Write what follows the last frame."""
