"""The base of the annotation formats that are one text file."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TextIO

from covos.core.errors import EnvironmentProblem
from covos.core.files import atomic_path
from covos.core.types import FrameResult
from covos.formats.base import Format
from covos.masks.frame_mask import FrameMask


def picture_name(masks: FrameMask) -> str:
    """Return the name of a frame's picture file; a frame of a video gets one such as DAVIS and YouTube-VIS use."""
    return masks.file or f"{masks.stem}.jpg"


class AnnotationFormat(Format):
    """One text file, UTF-8, written frame by frame under a temporary name; after an error nothing is left of it.

    The content depends on the masks and the source alone: no clock, no random name.
    """

    labels_only = True
    needs_pictures = False
    _file: TextIO | None = None

    @classmethod
    def names_objects(cls, value: str | None) -> bool:
        """Tell that labels are what its categories are called."""
        return True

    def _add(self, result: FrameResult) -> None:
        masks = FrameMask.of(result, soft=False)
        if self._file is None:
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
            # A file that is thrown away may fail to be flushed: the problem to report is the earlier one.
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
