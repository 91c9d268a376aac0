"""The output formats by name. A new format is a new file here and one line in the table.

A format may take a value, written after its name: ``matte=16``, ``background=#202020``. Names are known without
loading what writes them, because the help of the command line lists them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

from covos.core.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from covos.core.types import SourceInfo
    from covos.formats.base import Bits, Destination, ValueWriterMaker, Writer, WriterMaker


# The module here, and the class in it.
_HOMES = {
    "background": "backgrounds:BackdropWriter",
    "binary": "mask_pictures:BinaryWriter",
    "blur": "backgrounds:BlurWriter",
    "coco": "coco:CocoWriter",
    "cutout": "cutout:CutoutWriter",
    "cvat": "cvat:CvatWriter",
    "ffv1": "videos:Ffv1Writer",
    "green": "backgrounds:GreenWriter",
    "labelstudio": "labelstudio:LabelStudioWriter",
    "matte": "pictures:MatteWriter",
    "matte-video": "videos:MatteVideoWriter",
    "npz": "npz:NpzWriter",
    "overlay": "backgrounds:OverlayWriter",
    "palette": "mask_pictures:PaletteWriter",
    "preview": "summaries:PreviewWriter",
    "prores": "videos:ProresWriter",
    "qtrle": "videos:QtrleWriter",
    "rgba": "pictures:RgbaWriter",
    "sheet": "summaries:SheetWriter",
    "webm": "videos:WebmWriter",
    "yolo": "yolo:YoloWriter",
    "ytvis": "ytvis:YtvisWriter",
}
FORMATS = tuple(sorted(_HOMES))
"""Names of the formats, sorted."""


class _Writers(Mapping[str, "WriterMaker"]):
    """Loads the module of a format when its writer is first asked for."""

    def __getitem__(self, name: str) -> WriterMaker:
        module, _, attribute = _HOMES[name].partition(":")
        maker: WriterMaker = getattr(import_module(f"covos.formats.{module}"), attribute)
        return maker

    def __iter__(self) -> Iterator[str]:
        return iter(_HOMES)

    def __len__(self) -> int:
        return len(_HOMES)

    def __contains__(self, name: object) -> bool:
        return name in _HOMES  # without loading it


WRITERS: Mapping[str, WriterMaker] = _Writers()
"""What makes the writer of each format."""


def check_formats(names: Sequence[str]) -> tuple[str, ...]:
    """The formats, each once.

    Args:
        names: As the user gives them, with or without a value: ``matte``, ``matte=16``.

    Raises:
        UsageError: One is unknown, takes no such value, or is asked for with two values.
        SourceError: A value names a picture that cannot be read.
    """
    chosen: dict[str, str] = {}
    for each in names:
        name, value = _split(each)
        if chosen.setdefault(name, each) != each:
            raise UsageError(
                f"both {chosen[name]} and {each}",
                why="their files would have the same names",
                fix="run covos once for each, to a folder of its own",
            )
        if value is not None:
            _with_value(name).check_value(value)
    return tuple(chosen.values())


def probability_bits(names: Sequence[str]) -> Bits:
    """How finely the formats write a result's probability.

    Returns:
        0 if all use its labels alone, which a maker says by ``labels_only``; 16 if one says so by ``bits_of(value)``;
        else 8.
    """
    return max((_bits(*_split(name)) for name in names), default=0)


def _bits(name: str, value: str | None) -> Bits:
    maker = WRITERS[name]
    if getattr(maker, "labels_only", False):
        return 0
    return 16 if hasattr(maker, "bits_of") and maker.bits_of(value) == 16 else 8


def make_writer(name: str, folder: Destination, *, info: SourceInfo, source_path: Path) -> Writer:
    """Make the writer of a format. Nothing is written before its first frame.

    Args:
        name: One of `FORMATS`, or one with a value.
        folder: Where its files go.
        info: Of the source whose frames will come.
        source_path: Of the source, for what is copied from it (sound).

    Raises:
        UsageError: There is no such format, or it takes no such value.
    """
    check_formats([name])
    bare, value = _split(name)
    if value is None:
        return WRITERS[bare](folder, info=info, source_path=source_path)
    return _with_value(bare)(folder, info=info, source_path=source_path, value=value)


def _split(text: str) -> tuple[str, str | None]:
    name, equals, value = text.partition("=")
    if name not in WRITERS:
        raise UsageError(
            f"unknown output format {name!r}",
            why="no writer has this name",
            fix=f"use one of: {', '.join(FORMATS)}",
        )
    return name, value if equals else None


def _with_value(name: str) -> ValueWriterMaker:
    maker = WRITERS[name]
    if not hasattr(maker, "check_value"):
        raise UsageError(f"{name} with a value", why=f"{name} takes none", fix=f"write {name} alone")
    return cast("ValueWriterMaker", maker)


# How large a result will be, said before the work begins.

# Measured by `python benchmarks/formats.py` at 480p, where a pixel holds more detail than at 1080p. Formats that are
# not listed are small beside the source itself.
_BYTES_PER_PIXEL = {"cutout": 0.53, "ffv1": 0.40, "matte=16": 0.53, "prores": 0.85, "qtrle": 1.48, "rgba": 0.68}
_WORTH_SAYING = 100_000_000


def size_notes(formats: Sequence[str], *, info: SourceInfo, folder: Path) -> tuple[str, ...]:
    """What to tell a user of large results: formats above 100 MB, and a disk that will not hold them.

    Args:
        formats: As given to `check_formats`.
        info: Of the source.
        folder: Where they will go; it need not exist.

    Returns:
        A line for each, in plain words.
    """
    pixels = info.frame_count * info.height * info.width
    sizes = {name: round(_BYTES_PER_PIXEL.get(name, 0) * pixels) for name in formats}
    notes = [f"{name} will take about {_readable(size)}" for name, size in sizes.items() if size >= _WORTH_SAYING]
    free = shutil.disk_usage(_existing(folder)).free
    if sum(sizes.values()) > free:
        notes.append(f"the disk of {folder} has {_readable(free)} free, which may not be enough")
    return tuple(notes)


def _existing(folder: Path) -> Path:
    here = folder.absolute()
    while not os.path.lexists(here):
        here = here.parent
    return here


def _readable(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
