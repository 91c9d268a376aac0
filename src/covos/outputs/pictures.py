"""What the formats with a picture a frame share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from numpy.typing import NDArray

from covos.outputs.folder import OutputFolder
from covos.outputs.png import write_png
from covos.types import FrameResult, SourceInfo


class PictureOutput(ABC):
    """PNG files ``<name>/<stem>.png``, named as the frames.

    Each file is whole or absent at any moment, so that a run that stops leaves every earlier frame usable.
    """

    name: ClassVar[str]
    warnings: tuple[str, ...] = ()

    def __init__(self, folder: OutputFolder, *, info: SourceInfo, source_path: Path) -> None:
        self._folder = folder
        self._written = 0

    @abstractmethod
    def picture(self, result: FrameResult) -> NDArray[Any]:
        """The pixels of a frame, as `write_png` takes them."""

    def write(self, result: FrameResult) -> None:
        """Write the frame's picture."""
        write_png(self._folder.file(f"{self.name}/{result.frame.stem}.png"), self.picture(result))
        self._written += 1

    def close(self) -> tuple[Path, ...]:
        """The folder of the pictures."""
        return (self._folder.path / self.name,) if self._written else ()

    def abort(self) -> None:
        """Stop: nothing is open."""
        self._written = 0
