"""Find the pictures among the entries of a folder, and say what was passed over and what their numbers leave out.

Videos in a folder are found by their suffix.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from covos.core.errors import listed
from covos.core.progress import counted
from covos.core.signatures import OPENEXR, PNG
from covos.media.images import IMAGE_SUFFIXES, natural_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

VIDEO_SUFFIXES = frozenset(
    {
        *(".3gp", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf"),
        *(".nut", ".ogv", ".ts", ".vob", ".webm", ".wmv", ".y4m"),
    }
)
"""Suffixes of files that are taken for videos in a folder. The content of a file that is named itself decides."""
_NOT_READ = frozenset(
    {
        *(".arw", ".bpg", ".cin", ".cr2", ".cr3", ".dds", ".dng", ".dpx", ".gif", ".hdr", ".ico", ".j2k"),
        *(".jp2", ".jpf", ".jpx", ".jxl", ".jxr", ".mng", ".nef", ".orf", ".pam", ".pcx", ".pfm", ".psb", ".psd"),
        *(".qoi", ".raf", ".ras", ".rw2", ".sgi", ".svg", ".tga", ".wbmp", ".xbm", ".xcf", ".xpm"),
    }
)
"""Suffixes of pictures that are no frames of a folder."""
_HEAD = 32
_PICTURE = re.compile(
    rb"\xff\xd8\xff|"
    + re.escape(PNG)
    + rb"|"
    + re.escape(OPENEXR)
    + rb"|BM.{4}\0{4}|P[1-6]\s|II\*\0|MM\0\*|RIFF.{4}WEBP|.{4}ftyp(avif|heic|heix|heim|heis|mif1)",
    re.DOTALL,
)
_NUMBER = re.compile(r"(.*?)(\d+)(\D*)", re.DOTALL)
_LEAST = 4
"""Pictures below which numbers show no step."""
_MOST_NAMED = 4


@dataclass(frozen=True, slots=True)
class Listing:
    """Picture files in natural order of their names, and notes for the user."""

    files: tuple[Path, ...]
    notes: tuple[str, ...] = ()


def list_pictures(paths: Iterable[Path]) -> Listing:
    """Find the pictures among paths, without hidden ones.

    Everything that is named like a picture counts, also a pipe, a folder or a link to nothing: it cannot be read, and
    is reported. A file of another name counts if its content is a picture's, and no picture has its name.
    """
    entries = [path for path in paths if not path.name.startswith(".")]
    found = [path for path in entries if path.suffix.lower() in IMAGE_SUFFIXES]
    stems = {path.stem for path in found}
    others = [path for path in entries if path.suffix.lower() not in IMAGE_SUFFIXES and path.stem not in stems]
    found += [path for path in others if path.suffix.lower() not in _NOT_READ and _is_picture(path)]
    files = tuple(sorted(found, key=lambda path: (natural_key(str(path)), str(path))))
    return Listing(files, (*_passed_over(files, others), *_holes(files)))


def _is_picture(path: Path) -> bool:
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return _PICTURE.match(file.read(_HEAD)) is not None
    except OSError:
        return False


def _passed_over(files: Sequence[Path], others: Sequence[Path]) -> list[str]:
    """Say which files look like frames by their names, and are none."""
    taken = set(files)
    shapes = {shape for path in files if "#" in (shape := _shape(path))}
    left = [
        path.name
        for path in sorted(others, key=lambda path: natural_key(path.name))
        if path not in taken and (path.suffix.lower() in _NOT_READ or _shape(path) in shapes) and not path.is_dir()
    ]
    if not files or not left:
        return []
    kinds = "frames are JPEG, PNG, WebP, AVIF, HEIC, TIFF, OpenEXR, BMP or PNM pictures"
    return [f"{counted(len(left), 'file')} passed over: {listed(left, shown=_MOST_NAMED)}; {kinds}"]


def _shape(path: Path) -> str:
    return re.sub(r"\d+", "#", path.stem)


def _holes(files: Sequence[Path]) -> list[str]:
    """Say which numbers are left out, and that videos close up there, where most pictures are numbered in one step."""
    numbered: dict[tuple[str, str], list[int]] = {}
    for path in files:
        if found := _NUMBER.fullmatch(path.stem):
            numbered.setdefault((found[1], found[3]), []).append(int(found[2]))
    numbers = max(numbered.values(), key=len, default=[])
    steps = Counter(after - before for before, after in pairwise(sorted(set(numbers))))
    if len(numbers) < max(_LEAST, len(files) // 2 + 1):
        return []
    step, often = steps.most_common(1)[0]
    if 2 * often <= steps.total():
        return []
    spans = [
        (before + step, after - step)
        for before, after in pairwise(sorted(set(numbers)))
        if after - before > step and (after - before) % step == 0
    ]
    if not spans:
        return []
    count = sum((last - first) // step + 1 for first, last in spans)
    named = [str(first) if first == last else f"{first} to {last}" for first, last in spans]
    before = spans[0][0] - step
    return [
        f"the numbering of the pictures leaves out {count}: {listed(named, shown=_MOST_NAMED)}; videos are "
        f"{counted(count, 'frame')} shorter than the series, and what follows {before} comes earlier: fill the gaps "
        "first if the times count"
    ]
