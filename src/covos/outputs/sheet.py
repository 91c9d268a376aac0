"""``sheet``: a contact sheet of evenly spaced frames, ``sheet.png``; ``sheet=24`` for 24 of them."""

from __future__ import annotations

from pathlib import Path

from covos.errors import UsageError
from covos.masks import contact_sheet
from covos.outputs.folder import OutputFolder
from covos.outputs.png import write_png
from covos.outputs.sample import EvenSample
from covos.types import FrameResult, SourceInfo

_DEFAULT = 12
_MOST = 100
_COLUMNS = 4
_CELL_WIDTH = 320


class SheetWriter:
    """The frames with their objects drawn in, and name and time under each."""

    name = "sheet"
    labels_only = True
    warnings: tuple[str, ...] = ()

    def __init__(self, folder: OutputFolder, *, info: SourceInfo, source_path: Path, value: str | None = None) -> None:
        self._folder = folder
        self._count = int(value or _DEFAULT)
        # Four times what is shown, so that what is picked lies evenly.
        self._sample = EvenSample(capacity=4 * self._count, width=_CELL_WIDTH, pixel_aspect=info.pixel_aspect)
        self._finished: tuple[Path, ...] = ()

    @staticmethod
    def check_value(value: str) -> None:
        """How many frames."""
        if not value.isascii() or not value.isdecimal() or not 1 <= int(value) <= _MOST:
            raise UsageError(f"sheet={value}", why=f"a sheet has 1 to {_MOST} frames", fix="write sheet=24, say")

    def write(self, result: FrameResult) -> None:
        """Keep the frame if it is its turn."""
        self._sample.add(result)

    def close(self) -> tuple[Path, ...]:
        """Lay the sheet out and write it."""
        if self._sample.kept and not self._finished:
            chosen = self._sample.pick(self._count)
            sheet = contact_sheet(
                [each.image for each in chosen],
                columns=min(_COLUMNS, len(chosen)),
                cell_width=_CELL_WIDTH,
                captions=[f"{each.stem}  {each.time:.2f} s" for each in chosen],
            )
            target = self._folder.file(f"{self.name}.png")
            write_png(target, sheet)
            self._finished = (target,)
        return self._finished

    def abort(self) -> None:
        """Forget the frames."""
        self._sample.kept.clear()
