"""One file as the output: ``-o x.mov`` with one format writes that file, and nothing else stays beside it.

The run works in a folder beside the file, ``x.mov.covos``: a stopped run goes on there. At the end its output takes
the name ``x.mov``, and the folder is removed. It stays if that is asked for, or if frames are missing, damaged or were
not computed, since its report tells which.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from covos.core.errors import EnvironmentProblem, UsageError, listed
from covos.core.files import atomic_path, refuse_links
from covos.formats.table import FORMATS, load_format, parse_format
from covos.media.images import IMAGE_SUFFIXES, kind_of
from covos.runs.folder import OutputFolder, explained
from covos.runs.writing import Saved

ASIDE: Final = ".covos"
USUAL: Final = {".mp4": "overlay", ".mov": "prores", ".mkv": "ffv1", ".webm": "webm"}
"""Format of a file, by its suffix, where none is named."""
_OTHERS = frozenset({".avi", ".m4v", ".mpg", ".mpeg", ".mxf", ".ts", ".wmv", ".gif"})
"""Suffixes of videos that no format has: a folder is hardly meant."""
_FILES = frozenset({"file", "video"})


@dataclass(frozen=True, slots=True, kw_only=True)
class OneFile:
    """A file that is to be written.

    Attributes:
        path: The file.
        format: The one format.
        overwrite: If true, a file of this name is replaced, at the end.
        keep: If true, the folder of the run stays.
    """

    path: Path
    format: str
    overwrite: bool = False
    keep: bool = False

    @property
    def folder(self) -> Path:
        """The folder in which the run works."""
        return self.path.with_name(self.path.name + ASIDE)

    def refuse_existing(self) -> None:
        """Refuse a file that is there and is not to be replaced, and a link in place of the folder: a UsageError."""
        refuse_links(self.path.parent, self.folder)
        if os.path.lexists(self.path) and (not self.overwrite or self.path.is_dir()):
            raise UsageError(
                f"{self.path}: the file exists",
                why="nothing is overwritten unless asked",
                fix="choose another name, or give -y (overwrite=True) to replace it",
            )

    def take(self, saved: Saved) -> Saved:
        """Give the output its name, and remove the folder of the run unless it is to stay.

        Raises:
            UsageError: A file of this name has come in the meantime, or the output is of another kind.
            EnvironmentProblem: The disk is full or not writable.
        """
        (made,) = saved.outputs
        if made.suffix.lower() != self.path.suffix.lower():
            raise UsageError(
                f"{self.path}: {self.format} has made {made.name}",
                why="of a single picture a video format makes a PNG",
                fix=f"it is {made}; name the file .png",
            )
        self.refuse_existing()
        stays = self.keep or bool(saved.uncomputed) or not saved.health.complete
        with explained(self.path):
            if stays:  # a folder that lacks an output would be no whole result
                _copy(made, self.path)
            elif self.overwrite:
                made.replace(self.path)
            else:
                _rename(made, self.path)
            if not stays:
                OutputFolder(saved.folder, overwrite=True).remove()
        return replace(saved, outputs=(self.path,), is_one_file=not stays)


def one_file(
    output: Path,
    formats: Sequence[str] | None,
    *,
    inputs: Sequence[str] = (),
    each_object: bool = False,
    overwrite: bool = False,
    keep: bool = False,
) -> OneFile | None:
    """Tell if an output is one file, by the suffix of its name; a folder that is there is one in any case.

    Args:
        output: As the user gave it.
        formats: Formats that were asked for; without any, the suffix of a video tells one.
        inputs: Everything that is to be written of.
        each_object: True if each object gets a file of its own.
        overwrite: See `OneFile`.
        keep: See `OneFile`.

    Returns:
        The file; None if it is a folder.

    Raises:
        UsageError: It is a file, and there are several inputs or formats, or the format does not make such a file.
    """
    suffix = output.suffix.lower()
    if output.is_dir() or suffix not in {*_suffixes(), *IMAGE_SUFFIXES, *_OTHERS}:
        if keep:
            raise UsageError(
                f"--keep with the folder {output}",
                why="all of a folder is kept anyway",
                fix="leave it out, or name one file, such as x.mov",
            )
        return None
    if len(inputs) > 1:
        raise UsageError(
            f"one file {output} for {len(inputs)} inputs",
            why="each input makes a file of its own",
            fix="name a folder, or run covos once for each",
        )
    if each_object:
        raise UsageError(
            f"one file {output} for each object",
            why="several objects make several files",
            fix=f"name a folder: -o {output.with_suffix('')}",
        )
    names = list(dict.fromkeys(formats or ([USUAL[suffix]] if suffix in USUAL else [])))
    if len(names) != 1:
        raise UsageError(
            f"one file {output} for {listed(names) if names else 'no format'}",
            why="a file is of one format",
            fix=f"name one with -f, or a folder: -o {output.with_suffix('')}",
        )
    kind, _ = parse_format(names[0])
    still = kind.shape == "video" and len(inputs) == 1 and Path(inputs[0]).is_file()
    own = ".png" if still and kind_of(Path(inputs[0])) == "still" else Path(kind.output).suffix
    if kind.shape not in _FILES or not own:
        raise UsageError(
            f"one file {output} of the format {kind.name}",
            why=f"{kind.name} writes {kind.shape}" if kind.shape not in _FILES else f"{kind.name} writes a folder",
            fix=f"name a folder: -o {output.with_suffix('')}{_instead(suffix)}",
        )
    if own != suffix:
        raise UsageError(
            f"{output} of the format {kind.name}",
            why=f"{kind.name} makes {own} files",
            fix=f"write {output.with_suffix(own)}{_instead(suffix)}",
        )
    return OneFile(path=output, format=names[0], overwrite=overwrite, keep=keep)


def _suffixes() -> dict[str, list[str]]:
    """Return the formats that make one file, by its suffix."""
    found: dict[str, list[str]] = {}
    for name in FORMATS:
        kind = load_format(name)
        if kind.shape in _FILES and (suffix := Path(kind.output).suffix):
            found.setdefault(suffix, []).append(name)
    return found


def _instead(suffix: str) -> str:
    names = _suffixes().get(suffix)
    return "" if names is None else f"; {suffix} files are made by {listed(names, shown=8)}"


def _rename(made: Path, target: Path) -> None:
    """Rename a file to a name that is not taken: a link refuses one that is, where a renaming would replace it."""
    try:
        os.link(made, target)
    except FileExistsError:
        raise UsageError(
            f"{target}: the file exists", why="another program has made it meanwhile", fix=f"the result is {made}"
        ) from None
    except OSError:  # a file system without links
        made.rename(target)
    else:
        made.unlink()


def _copy(made: Path, target: Path) -> None:
    try:
        with atomic_path(target) as temporary:
            try:
                os.link(made, temporary)
            except OSError:
                shutil.copyfile(made, temporary)
    except OSError as error:
        raise EnvironmentProblem(
            f"{target} could not be written", why=error.strerror or str(error), fix=f"the result is {made}"
        ) from error
