"""``palette``: a palette PNG a frame, ``masks/<stem>.png``; the index of a pixel is its object's id."""

from __future__ import annotations

from pathlib import Path

from covos.masks import write_label_map
from covos.outputs.folder import OutputFolder
from covos.types import FrameResult, SourceInfo

MASKS = "masks"


class PaletteWriter:
    """Writes label maps as DAVIS, YouTube-VOS and most tools read them.

    Each file is whole or absent at any moment, so that a run that stops leaves every earlier frame usable.
    """

    name = "palette"
    labels_only = True
    warnings: tuple[str, ...] = ()

    def __init__(self, folder: OutputFolder, *, info: SourceInfo, source_path: Path) -> None:
        self._folder = folder
        self._written = 0

    def write(self, result: FrameResult) -> None:
        """Write the frame's mask."""
        write_label_map(self._folder.file(f"{MASKS}/{result.frame.stem}.png"), result.labels)
        self._written += 1

    def close(self) -> tuple[Path, ...]:
        """The folder of the masks."""
        return (self._folder.path / MASKS,) if self._written else ()

    def abort(self) -> None:
        """Nothing is open."""
