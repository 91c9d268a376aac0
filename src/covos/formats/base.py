"""What every output format does."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol

from covos.core.types import FrameResult, SourceInfo

Bits = Literal[0, 8, 16]
"""How finely a format writes the probability; 0 is not at all."""


class Destination(Protocol):
    """Where the files of a format go: `covos.runs.folder.OutputFolder`, as far as a writer knows it."""

    @property
    def path(self) -> Path:
        """The folder."""
        ...

    def file(self, name: str) -> Path:
        """Claim a file, by its relative name with forward slashes; the path to write to."""
        ...


class Writer(Protocol):
    """Writes results in one format, a frame at a time, in the order of the frames.

    Making a writer touches no disk: the first frame does. Whoever makes one calls `close` or `abort` in the end;
    either may be called again after either, and then does nothing.
    """

    @property
    def name(self) -> str:
        """Of the format, as in the registry."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """What could not be kept, in plain words. Complete after `close`."""
        ...

    def write(self, result: FrameResult) -> None:
        """Add a frame.

        Raises:
            EnvironmentProblem: The disk is full or failed.
        """
        ...

    def close(self) -> tuple[Path, ...]:
        """Finish.

        Returns:
            What lies under its final name now: a file, or the folder of a format with a file a frame. Nothing if
            no frame was written.

        Raises:
            EnvironmentProblem: The disk is full or failed.
        """
        ...

    def abort(self) -> None:
        """Stop without finishing. Whole files, such as the masks of earlier frames, stay; no half file does."""
        ...


class WriterMaker(Protocol):
    """What a format registers: usually its class."""

    def __call__(self, folder: Destination, *, info: SourceInfo, source_path: Path) -> Writer:
        """Make a writer.

        Args:
            folder: Where its files go.
            info: Of the source whose frames will come.
            source_path: Of the source, for what is copied from it (sound).
        """
        ...


class ValueWriterMaker(WriterMaker, Protocol):
    """What a format registers that takes a value, as in ``matte=16``. Without one it is made as any other."""

    def check_value(self, value: str) -> None:
        """Refuse a value that makes no sense, before any work is done.

        Raises:
            UsageError: It is of the wrong kind, or names a file that is not there.
            SourceError: It names a file that cannot be read.
        """
        ...

    def __call__(self, folder: Destination, *, info: SourceInfo, source_path: Path, value: str | None = None) -> Writer:
        """Make a writer; see `WriterMaker`."""
        ...
