"""The output formats by name. A new format is a class (see `covos.formats.base.Format`) and one line here.

A format may take a value, written after its name: ``matte=16``, ``background=#202020``. Names are known without
loading what writes them, because the help of the command line lists them.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING

from covos.core.errors import AnnotationError, UsageError, listed, one_of
from covos.core.labelling import NO_LABELS, Labelling
from covos.core.words import Words

if TYPE_CHECKING:
    from pathlib import Path

    from covos.core.types import SourceInfo
    from covos.formats.base import Bits, Destination, Format, ReadableFormat
    from covos.formats.reading import MasksRead

TABLE = {
    # Masks are read back from the first seven: the first of them that a run has written, or that recognises a file.
    # So those come first that tell objects apart and are read fast.
    "palette": "mask_pictures:PaletteFormat",
    "npz": "npz:NpzFormat",
    "coco": "coco:CocoFormat",
    "ytvis": "coco:YtvisFormat",
    "cvat": "cvat:CvatFormat",
    "labelstudio": "labelstudio:LabelStudioFormat",
    "binary": "mask_pictures:BinaryFormat",
    "background": "backgrounds:BackgroundFormat",
    "blur": "backgrounds:BlurFormat",
    "cutout": "pictures:CutoutFormat",
    "cutout-gif": "cutout_gif:CutoutGifFormat",
    "exr": "exr:ExrFormat",
    "ffv1": "alpha_videos:Ffv1Format",
    "green": "backgrounds:GreenFormat",
    "matte": "pictures:MatteFormat",
    "matte-video": "matte_videos:MatteVideoFormat",
    "overlay": "videos:OverlayFormat",
    "preview": "summaries:PreviewFormat",
    "prores": "alpha_videos:ProresFormat",
    "qtrle": "alpha_videos:QtrleFormat",
    "rgba": "pictures:RgbaFormat",
    "sheet": "summaries:SheetFormat",
    "tiff": "tiff:TiffFormat",
    "webm": "alpha_videos:WebmFormat",
    "yolo": "yolo:YoloFormat",
}
"""Module of this room and class in it, by the name of the format."""

FORMATS = tuple(sorted(TABLE))
"""Names of the formats, sorted."""

DEFAULT_FORMATS = ("palette", "overlay")
"""The formats of a folder where none is asked for."""

ASIDE = ".covos"
"""End of the name of the folder beside one file, in which its run works."""

_SAID = {
    "alpha": ("prores", "webm", "ffv1", "rgba"),
    "dnxhd": ("prores",),
    "dnxhr": ("prores",),
    "jpeg": ("rgba", "cutout"),
    "jpg": ("rgba", "cutout"),
    "mask": ("palette", "binary", "matte"),
    "masks": ("palette", "binary", "matte"),
    "openexr": ("exr",),
    "png": ("rgba", "palette", "matte", "binary", "cutout"),
    "tif": ("tiff",),
    "vp9": ("webm",),
}
"""Formats that are meant by the words of editors; suffixes of files are words, too (see `formats_by_suffix`)."""
_MP4_SAID = frozenset({"avc", "avi", "h.264", "h.265", "h264", "h265", "hevc", "m4v", "x264", "x265"})
"""Words for videos that play everywhere: these are MP4 files."""

_WORTH_SAYING = 100_000_000


def load_format(name: str) -> type[Format]:
    """Return a format, loading its module."""
    module, _, attribute = TABLE[name].partition(":")
    found: type[Format] = getattr(import_module(f"covos.formats.{module}"), attribute)
    return found


def parse_format(text: str) -> tuple[type[Format], str | None]:
    """Split ``matte=16`` into the format and its value, None if it has none.

    Raises:
        UsageError: There is no such format.
    """
    name, equals, value = text.partition("=")
    if name not in TABLE:
        raise UsageError(f"unknown output format {name!r}", why="no writer has this name", fix=instead_of(name))
    return load_format(name), value if equals else None


def instead_of(name: str) -> str:
    """Return the remedy for a name that no format has: the nearest; the list of all only where none is near."""
    word = name.lower()
    if all(each.partition("=")[0] in TABLE for each in word.split(",")):
        return f"name each by itself: {' '.join(f'-f {each}' for each in word.split(','))}"
    suffix = ".mp4" if word in _MP4_SAID else f".{word}"
    if meant := _SAID.get(word):
        return f"for {name}: {', '.join(meant)}"
    if made := sorted(formats_by_suffix().get(suffix, ()), key=lambda asked: "=" in asked):
        return f"for {word if suffix[1:] == word else suffix[1:] + ' files'}: {', '.join(made)}"
    close = get_close_matches(word, FORMATS, n=1)
    return f"did you mean {close[0]}?" if close else one_of(name, FORMATS)


def check_formats(names: Sequence[str]) -> tuple[str, ...]:
    """Check formats as the user gives them, with or without a value: ``matte``, ``matte=16``; return each once.

    Raises:
        UsageError: One is unknown, takes no such value, or is asked for with two values.
        SourceError: A value names a picture that cannot be read.
        EnvironmentProblem: A format needs a package that is not installed.
    """
    chosen: dict[str, str] = {}
    for each in [names] if isinstance(names, str) else names:  # one by itself is a sequence, of letters
        kind, value = parse_format(each)
        if chosen.setdefault(kind.name, each) != each:
            from covos.formats.composition import ONE_MORE

            raise UsageError(
                f"the format {chosen[kind.name]} beside the format {each}",
                why="their files would have the same names",
                fix=f"ask for one of them; {ONE_MORE}",
            )
        if value is not None:
            kind.check_value(value)
        kind.check_installed()
    return tuple(chosen.values())


def probability_bits(names: Sequence[str]) -> Bits:
    """Return the highest precision with which one of the formats writes the probability."""
    return max((kind.bits_of(value) for kind, value in map(parse_format, names)), default=0)


def shown_files(names: Sequence[str]) -> dict[str, tuple[Path, ...]]:
    """Return the files that formats show beside the source, by the name of the format as it is asked for."""
    return {name: files for name in names for kind, value in [parse_format(name)] if (files := kind.files_of(value))}


def plain_formats(names: Sequence[str]) -> tuple[str, ...]:
    """Write into the names of soft formats that their alpha is the probability, also where a run has a matte."""
    from covos.formats.composition import PLAIN_ALPHA, with_options

    asked = [(name, *parse_format(name)) for name in names]
    return tuple(
        name if kind.labels_only or kind.is_plain(value) else f"{kind.name}={with_options(value, {PLAIN_ALPHA: True})}"
        for name, kind, value in asked
    )


def formats_by_suffix(*, still: bool = False) -> dict[str, tuple[str, ...]]:
    """Return the formats that make one file, as they are asked for, by the suffix of the file.

    ``still`` asks for those of a single picture, of which formats with a picture a frame make one file, too.
    """
    found: dict[str, tuple[str, ...]] = {}
    for kind in map(load_format, FORMATS):
        pairs: Iterable[tuple[str, str]] = kind.suffixes().items()
        if still:
            usual = kind.still_suffixes(None)
            others = {f"{kind.name}={each}": kind.still_suffixes(each) for each in kind.choices}
            pairs = [(kind.name, each) for each in usual]
            pairs += [(asked, each) for asked, own in others.items() for each in own if each not in usual]
        for asked, suffix in pairs:
            found[suffix] = (*found.get(suffix, ()), asked)
    return found


def make_writer(
    name: str, folder: Destination, *, info: SourceInfo, source_path: Path, labels: Labelling = NO_LABELS
) -> Format:
    """Make the writer of a format, one of `FORMATS` or one with a value; see `covos.formats.base.Format`."""
    check_formats([name])
    kind, value = parse_format(name)
    return kind(folder, info=info, source_path=source_path, value=value, labels=labels)


def size_notes(formats: Sequence[str], *, info: SourceInfo, folder: Path) -> tuple[str, ...]:
    """Warn of large results, before the work begins: formats above 100 MB, and a disk that will not hold them."""
    sizes = expected_sizes(formats, info=info)
    notes = [f"{name} will take about {spoken_size(size)}" for name, size in sizes.items() if size >= _WORTH_SAYING]
    here = folder.absolute()
    free = shutil.disk_usage(next(each for each in (here, *here.parents) if os.path.lexists(each))).free
    if sum(sizes.values()) > free:
        notes.append(f"the disk of {folder} has {spoken_size(free)} free, which may not be enough")
    return tuple(notes)


def expected_sizes(formats: Sequence[str], *, info: SourceInfo) -> dict[str, int]:
    """Return the bytes that each of some formats will take about; 0 for those that are small beside the source."""
    asked = [(name, *parse_format(name)) for name in formats]
    return {
        name: round(kind.size_of(value) * kind.frames_of(value, info) * info.height * info.width)
        for name, kind, value in asked
    }


def spoken_size(size: int) -> str:
    """Return a size as people say it: ``12 kB``, ``340 MB``, ``1.2 GB``."""
    if size >= 1e9:
        return f"{size / 1e9:.1f} GB"
    return f"{size / 1e6:.0f} MB" if size >= 1e7 else f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


_MEDIA = {
    "a video": "it is a video without alpha, and its pictures are no grey matte, which is mostly black and white, and "
    "white somewhere",
    "a picture": "it is a picture without alpha, and no file or folder of masks",
}
"""Why a medium of a kind has no masks."""
_MADE_ANEW = "export it again with the program that made it, or name other masks"


def readable_formats() -> Iterator[type[ReadableFormat]]:
    """Yield the formats from which masks are read, the best first."""
    from covos.formats.base import ReadableFormat

    return (kind for kind in map(load_format, TABLE) if issubclass(kind, ReadableFormat))


def read_recognised(path: Path) -> MasksRead:
    """Read masks from a file or folder, in the format that its content is of."""
    from covos.formats.reading import DamagedError, MaskInput

    masks, run = MaskInput(path), _run_of(path)
    try:
        for kind in readable_formats():
            if kind.recognise(masks):
                return kind.read(masks)
        medium = "" if path.is_dir() else _medium(path)
        if medium and not run.is_dir() and (found := _read_opacity(path, medium)) is not None:
            return found
    except DamagedError as error:
        raise unreadable(path, str(error), fix=error.fix or _MADE_ANEW) from error
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        raise unreadable(path, "there is no such file" if missing else error.strerror or str(error)) from error
    if path.is_dir():
        raise unreadable(path, "it has neither a report of covos nor mask pictures")
    if medium:
        why = f"it is {medium}, and no file or folder of masks" if run.is_dir() else _MEDIA[medium]
        raise unreadable(path, why, fix=_beside(path, medium))
    looked_for = "; ".join(f"{kind.read_as}: {kind.looks_like}" for kind in _readable_files())
    raise unreadable(path, f"it is {_shown(masks.json, start=masks.start)}. Looked for were {looked_for}")


def _read_opacity(path: Path, medium: str) -> MasksRead | None:
    """Read the alpha of a medium, or its grey levels if it is a matte; None if it is neither."""
    from covos.formats.mattes import read_matte_pictures, read_matte_video

    if medium == "a video":
        return read_matte_video(path)
    # A label map, too, is a picture: alone, it is not told from other pictures by its levels.
    return read_matte_pictures(path, {path.stem: path}, by_levels=False)


def _run_of(path: Path) -> Path:
    return path.with_name(path.name + ASIDE)


def _medium(path: Path) -> str:
    """Say which medium a file is; empty if it is none."""
    from covos.core.errors import CovosError
    from covos.media.images import kind_of
    from covos.media.opening import open_source

    try:
        if kind_of(path) == "still":
            return "a picture"
        open_source(path).close()
    except (CovosError, OSError):
        return ""
    return "a video"


def _beside(path: Path, medium: str) -> str:
    """Say how masks come of a medium, and where those of a run of one file lie."""
    run = _run_of(path)
    if run.is_dir():
        return f"its run was kept: name {run}"
    find = f"find its subject: covos segment {shlex.quote(str(path))} -o FOLDER"
    if medium == "a picture":
        return f"of a mask, name the folder that holds it; of a photograph, {find}"
    return (
        f"{find}; or name what a run has left: its output folder, a video with alpha or of a matte, or x.mov.covos of "
        "one file that was kept"
    )


def _shown(content: object, *, start: bytes) -> str:
    """Say in words what a file is that no format knows."""
    if isinstance(content, dict):
        return f"a JSON object with {listed(map(repr, content), shown=6)}"
    if isinstance(content, list) and content and isinstance(content[0], dict):
        return f"a JSON list of objects with {listed(map(repr, content[0]), shown=6)}"
    if isinstance(content, list):
        return "a JSON list of other things" if content else "an empty JSON list"
    return f"a file that begins with {start[:16]!r}" if start else "an empty file"


def unreadable(path: Path, why: str, *, fix: str | Words | None = None) -> AnnotationError:
    """Make the error of masks that cannot be read."""
    *names, last = (kind.name for kind in _readable_files())
    usual = (
        "name an output folder of covos, a folder of mask PNGs or of pictures with alpha, a video with alpha or of a "
        f"matte, or a {', '.join(names)} or {last} file"
    )
    return AnnotationError(f"cannot read masks from {path}", why=why, fix=fix or usual)


def _readable_files() -> list[type[ReadableFormat]]:
    return [kind for kind in readable_formats() if kind.shape == "file"]
