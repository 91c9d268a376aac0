"""The output formats by name. A new format is a new file here and one line in the table.

A format may take a value, written after its name: ``matte=16``, ``background=#202020``. Names are known without
loading what writes them, because the help of the command line lists them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, cast

from covos.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from covos.outputs.base import ValueWriterMaker, Writer, WriterMaker
    from covos.outputs.folder import OutputFolder
    from covos.outputs.record import Bits
    from covos.types import SourceInfo

# The module here, and the class in it.
_HOMES = {
    "background": "backdrop:BackdropWriter",
    "binary": "binary:BinaryWriter",
    "blur": "blur:BlurWriter",
    "coco": "coco:CocoWriter",
    "cutout": "cutout:CutoutWriter",
    "cvat": "cvat:CvatWriter",
    "ffv1": "ffv1:Ffv1Writer",
    "green": "green:GreenWriter",
    "labelstudio": "labelstudio:LabelStudioWriter",
    "matte": "matte:MatteWriter",
    "matte-video": "matte_video:MatteVideoWriter",
    "npz": "npz:NpzWriter",
    "overlay": "overlay:OverlayWriter",
    "palette": "palette:PaletteWriter",
    "preview": "preview:PreviewWriter",
    "prores": "prores:ProresWriter",
    "qtrle": "qtrle:QtrleWriter",
    "rgba": "rgba:RgbaWriter",
    "sheet": "sheet:SheetWriter",
    "webm": "webm:WebmWriter",
    "yolo": "yolo:YoloWriter",
    "ytvis": "ytvis:YtvisWriter",
}
FORMATS = tuple(sorted(_HOMES))
"""Names of the formats, sorted."""


class _Writers(Mapping[str, "WriterMaker"]):
    """Loads the module of a format when its writer is first asked for."""

    def __getitem__(self, name: str) -> WriterMaker:
        module, _, attribute = _HOMES[name].partition(":")
        maker: WriterMaker = getattr(import_module(f"covos.outputs.{module}"), attribute)
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


def make_writer(name: str, folder: OutputFolder, *, info: SourceInfo, source_path: Path) -> Writer:
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
