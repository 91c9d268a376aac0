"""A text file that is written bit by bit over a whole run, and takes its name at the end."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from pathlib import Path

from covos.errors import EnvironmentProblem
from covos.runtime.atomic import atomic_path


class GrowingFile:
    """A file under construction, UTF-8, under a temporary name until `finish`.

    Memory does not grow with it. After an error, of the disk or of a caller that calls `abort`, nothing is left.

    Args:
        path: Its final name, in an existing folder.

    Raises:
        EnvironmentProblem: The folder is not writable.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._place = ExitStack()
        partial = self._place.enter_context(atomic_path(path))
        # Names that are not UTF-8 hold lone surrogates, which JSON and XML can only show escaped.
        self._file = self._place.enter_context(partial.open("w", encoding="utf-8", errors="backslashreplace"))

    def write(self, text: str) -> None:
        """Add text.

        Raises:
            EnvironmentProblem: The disk is full or failed; the file is gone then.
        """
        try:
            self._file.write(text)
        except BaseException as error:
            self._leave(error)
            raise

    def overwrite(self, position: int, text: str) -> None:
        """Replace text that was written before, byte for byte.

        Args:
            position: In bytes from the start.
            text: As long, in bytes, as what it replaces.

        Raises:
            EnvironmentProblem: The disk failed; the file is gone then.
        """
        try:
            end = self._file.tell()
            self._file.seek(position)
            self._file.write(text)
            self._file.seek(end)
        except BaseException as error:
            self._leave(error)
            raise

    def finish(self) -> None:
        """Give the file its name.

        Raises:
            EnvironmentProblem: The disk is full or failed; the file is gone then.
        """
        self._place.close()

    def abort(self) -> None:
        """Remove what was written. Does nothing after `finish`."""
        # What is thrown away may fail to be flushed: whatever led here is the problem to report.
        with suppress(_GivenUpError, EnvironmentProblem):
            self._leave(_GivenUpError())

    def _leave(self, error: BaseException) -> None:
        self._place.__exit__(type(error), error, error.__traceback__)


class _GivenUpError(Exception):
    """Makes `atomic_path` remove its file."""
