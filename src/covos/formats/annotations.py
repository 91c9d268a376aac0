"""The base of the annotation formats that are one text file, and the names by which they refer to pictures."""

from __future__ import annotations

import glob
from abc import abstractmethod
from contextlib import ExitStack, suppress
from functools import cached_property
from pathlib import Path
from typing import TextIO

from covos.core.errors import EnvironmentProblem
from covos.core.files import atomic_path
from covos.core.types import FrameResult, SourceInfo
from covos.formats.base import Format
from covos.masks.frame_mask import FrameMask
from covos.media.opening import images_among

CATEGORY = "object"
"""The one category that annotations have: covos finds objects and does not name what they are."""


class PictureNames:
    """Names of the frames' picture files, without folders.

    Those of a folder, a pattern or an image are the files' own. The frames of a video have none yet: they are called
    ``00000.jpg`` and so on, as DAVIS and YouTube-VIS call theirs.
    """

    def __init__(self, info: SourceInfo) -> None:
        self._info = info

    def of(self, stem: str) -> str:
        """Return the name of the picture of a frame."""
        return self._files.get(stem, f"{stem}.jpg")

    def stems(self) -> list[str]:
        """Return the frames' names in the order of the source, as reading it gives them."""
        return list(self._files) or [f"{index:05d}" for index in range(self._info.frame_count)]

    @cached_property
    def _files(self) -> dict[str, str]:
        if self._info.kind not in {"frames", "image"}:
            return {}
        path = Path(self._info.path)
        if path.is_dir():
            files = list(path.iterdir())
        elif path.exists():
            files = [path]
        else:
            # Path.glob takes no absolute patterns.
            files = [Path(match) for match in glob.glob(self._info.path, recursive=True)]  # noqa: PTH207
        return {file.stem: file.name for file in images_among(files)}


class AnnotationFormat(Format):
    """One text file, UTF-8, written frame by frame under a temporary name; a format says only what the text is.

    The content depends on the masks and the source alone: no clock, no random name. After an error nothing is left.
    """

    labels_only = True
    needs_pictures = False
    _file: TextIO | None = None

    def _add(self, result: FrameResult) -> None:
        masks = FrameMask.of(result)
        if self._file is None:
            self._pictures = PictureNames(self._info)
            self._target = self._folder.file(self.output)
            self._place = ExitStack()
            partial = self._place.enter_context(atomic_path(self._target))
            # Names that are not UTF-8 hold lone surrogates, which JSON and XML can only show escaped.
            self._file = self._place.enter_context(partial.open("w", encoding="utf-8", errors="backslashreplace"))
            self._put(self._opening(masks))
        self._put(self._frame(masks))

    def _finish(self) -> Path:
        self._end()
        self._place.close()
        return self._target

    def _abandon(self) -> None:
        if self._file is not None:
            # What is thrown away may fail to be flushed: whatever led here is the problem to report.
            with suppress(_GivenUpError, EnvironmentProblem):
                self._leave(_GivenUpError())

    def _put(self, text: str, *, position: int | None = None) -> None:
        """Add text; or at a position, in bytes from the start, replace text of the same length."""
        assert self._file is not None
        try:
            if position is not None:
                self._file.seek(position)
            self._file.write(text)
        except BaseException as error:
            self._leave(error)
            raise

    def _leave(self, error: BaseException) -> None:
        self._place.__exit__(type(error), error, error.__traceback__)

    @abstractmethod
    def _opening(self, first: FrameMask) -> str:
        """Return the text before the first frame."""

    @abstractmethod
    def _frame(self, masks: FrameMask) -> str:
        """Return the text of a frame."""

    @abstractmethod
    def _end(self) -> None:
        """Put what follows the last frame."""


class _GivenUpError(Exception):
    """Makes `atomic_path` remove its file."""
