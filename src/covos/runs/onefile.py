"""Output: where results go, and which formats are written there. The name of one file chooses its format.

``-o x.mov`` writes that file, and nothing else stays beside it. If a single picture is taken, ``-o x.png`` is that
picture, cut out. The run works in a folder beside the file, ``x.mov.covos``: a stopped run goes on there. At the end
its output takes the name ``x.mov``, and the folder is removed. It stays if that is asked for, or if frames are missing,
damaged or were not computed, since its report lists them; and if further formats are asked for, which lie in it.

Any other name is a folder: one that is there, one that ends with a slash, and one without the suffix of a file.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import chain
from pathlib import Path
from typing import Final

from covos.core.errors import CovosError, EnvironmentProblem, UsageError, listed
from covos.core.files import atomic_path, refuse_links
from covos.core.guarded import is_there
from covos.core.labelling import NO_LABELS, Labelling
from covos.core.numbered import matches_of, refuse_pattern
from covos.core.places import path_text
from covos.core.words import OVERWRITE, Words
from covos.formats.base import Format
from covos.formats.composition import PLAIN, Composition, with_options
from covos.formats.each import EachObjectFormat
from covos.formats.options import composed_formats, refuse_idle
from covos.formats.table import (
    ASIDE,
    DEFAULT_FORMATS,
    FORMATS,
    check_formats,
    formats_by_suffix,
    load_format,
    parse_format,
    shown_files,
)
from covos.masks.edges import NO_EDGES, Edges
from covos.media.images import IMAGE_SUFFIXES
from covos.media.listing import VIDEO_SUFFIXES
from covos.media.range import WHOLE, Range
from covos.runs.folder import OutputFolder, explained
from covos.runs.writing import Saved

USUAL: Final = {
    ".gif": "preview=gif",
    ".json": "coco",
    ".mkv": "ffv1",
    ".mov": "prores",
    ".mp4": "overlay",
    ".npz": "npz",
    ".png": "sheet",
    ".webm": "webm",
    ".webp": "preview",
    ".xml": "cvat",
}
"""Format of a file, by its suffix, where none is named."""
_NEAR = 0.8
USUAL_OF_STILLS: Final = {".exr": "exr", ".png": "rgba", ".tif": "tiff", ".tiff": "tiff", ".webp": "rgba=webp"}
"""The same for the pictures that are made of a single one: the subject with alpha."""
_LIKE_JPEG = frozenset({".avif", ".bmp", ".heic", ".heif", ".jfif", ".jpe", ".jpeg", ".jpg"})
"""Suffixes of pictures that have no alpha, or are not written."""
_JPEG = frozenset({".jpeg", ".jpg"})
_LIKE_MP4 = (VIDEO_SUFFIXES | {".h264", ".h265"}) - USUAL.keys()
"""Suffixes of videos that are not written."""
_ONE_FRAME = Words("--start f30 --end f31", python="range=range(30, 31)")
_FILE = re.compile(r"\.([a-z]{2,4}\d?|3gp|h26[45]|m2ts|m4[av]|y4m)")
"""Suffixes that files have and folders hardly do; ``.v2`` is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """Place that results go to: a folder, or one file.

    Attributes:
        path: The folder or the file.
        formats: The formats that are written. The first is that of the file; others stay in the folder of the run.
        is_file: True for one file.
        overwrite: If true, a file of this name is replaced, at the end.
        keep: If true, the folder of the run stays beside the file.
        still: True if the file is made of a single picture.
    """

    path: Path
    formats: tuple[str, ...]
    is_file: bool = False
    still: bool = False
    overwrite: bool = False
    keep: bool = False

    @property
    def folder(self) -> Path:
        """The folder in which the run works."""
        return self.path.with_name(self.path.name + ASIDE) if self.is_file else self.path

    @property
    def passes(self) -> bool:
        """True if the folder is removed at the end, unless frames are missing, damaged or were not computed."""
        return self.is_file and not self.keep

    def refuse_existing(self, *, reads: Iterable[str | os.PathLike[str]] = ()) -> None:
        """Refuse a file that is there and is not to be replaced, and a link in place of its folder: a UsageError.

        A file that the work itself reads is never replaced, whatever is asked for: what the user has shot would be
        gone. A folder that the user named is looked at elsewhere.

        Args:
            reads: Sources, masks and the like: files, folders of frames, globs. Backgrounds are known by the formats.
        """
        if self.is_file:
            refuse_links(self.path.parent, self.folder)
            self.refuse_read(reads)
        if self.is_file and os.path.lexists(self.path) and (not self.overwrite or self.path.is_dir()):
            raise UsageError(
                f"{self.path}: the file exists",
                why="nothing is overwritten unless asked",
                fix="choose another name, or give " + OVERWRITE + " to replace it",
            )

    def refuse_read(self, reads: Iterable[str | os.PathLike[str]]) -> None:
        """Refuse a file that the work itself reads, see `refuse_existing`: a UsageError."""
        if not self.is_file or not self.path.is_file():
            return
        for name in (*reads, *chain.from_iterable(shown_files(self.formats).values())):
            if _is_among(self.path, os.fspath(name)):
                raise UsageError(
                    f"{self.path} is read and would be written over",
                    why="the output has the name of an input, which would be lost",
                    fix="choose another name for the output",
                )

    def refuse_idle(
        self,
        *,
        edges: Edges = NO_EDGES,
        labelled: Labelling = NO_LABELS,
        range: Range = WHOLE,
        matted: bool = False,
    ) -> None:
        """Refuse changes of edges, labels, times and a matte that nothing which is left of the work has: a UsageError.

        A folder keeps all of these but edges for what is made of it later.
        """
        kept = {"label": bool(labelled), "times source": range.times == "source", "matte": matted}
        refuse_idle(
            self.formats,
            (*edges.soft_options, *(option for option, asked in kept.items() if asked and self.passes)),
        )

    def take(self, saved: Saved) -> Saved:
        """Give the output of a finished run its name, and remove the folder of the run unless it is to stay.

        Raises:
            UsageError: A file of this name has come in the meantime, or the output is of another kind.
            EnvironmentProblem: The disk is full or not writable.
        """
        if not self.is_file:
            return saved
        kind, value = parse_format(self.formats[0])
        own = [path for path in saved.outputs if _is_of(path, kind)]
        # The folder of palette is called as the file of npz.
        made = next((path for path in own if path.suffix.lower() == self.path.suffix.lower()), own[0])
        others = tuple(path for path in saved.outputs if path != made)
        fitting = {made.suffix.lower()}
        if self.still:
            fitting = {*kind.still_suffixes(value)}
            made = _only_picture(made, fitting)
        if self.path.suffix.lower() not in fitting:
            raise UsageError(
                f"{self.path}: {self.formats[0]} has made {made.name}",
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
        if stays:
            return replace(saved, outputs=(self.path, *others))
        return replace(saved, folder=self.path.parent, outputs=(self.path,), report=None, page=None)


def choose_output(
    where: str | os.PathLike[str],
    formats: Sequence[str] | None = None,
    *,
    usual: Sequence[str] = DEFAULT_FORMATS,
    composition: Composition = PLAIN,
    inputs: int = 1,
    still: bool = False,
    frame: int | None = None,
    overwrite: bool = False,
    keep: bool = False,
) -> Output:
    """Tell where results go and in which formats: the one place that does, for the command line and Python.

    Args:
        where: As the user gave it: a folder or one file.
        formats: Formats that were asked for. Without any, the suffix of a file chooses one, and a folder has the usual.
        usual: Formats of a folder, where none was asked for.
        composition: What they are composed of; a background asks for its format.
        inputs: Number of inputs.
        still: True if a single picture is taken of the input.
        frame: Its number in the source, where it is the only frame of a part that could be longer.
        overwrite: See `Output`.
        keep: See `Output`.

    Raises:
        UsageError: It is empty, standard output, or a pattern of names; a format is unknown; or it is one file, and
            there are several inputs, or not just one of the formats makes such a file.
    """
    if path_text(where, what="the output") == "-":
        raise UsageError(
            "standard output (-) for a result",
            why="the files of a result are finished at their end, which a pipe does not allow",
            fix="name a file or a folder; covos stream writes to a pipe",
        )
    path, suffix = Path(where), Path(where).suffix.lower()
    refuse_pattern(path, fix=lambda plain: _numbered(plain, suffix, formats or (), composition=composition))
    if is_folder(where):
        if keep:
            raise UsageError(
                f"the folder {path} is to be kept",
                why="all of a folder is kept anyway",
                fix="leave " + Words("--keep", python="keep=True") + " out, or name one file, such as x.mov",
            )
        chosen = check_formats(composed_formats(formats or usual, composition))
        return Output(path=path, formats=chosen, overwrite=overwrite)
    if inputs > 1:
        raise UsageError(
            f"one file {path} for {inputs} inputs",
            why="each input makes a file of its own",
            fix="name a folder, or run covos once for each",
        )
    names = formats or ([] if composition.background is not None else [_by_name(path, still=still)])
    chosen = check_formats(composed_formats(names, composition))
    if len(chosen) > 1:
        chosen, keep = _file_first(chosen, path, still=still), True
    kind, value = parse_format(chosen[0])
    if (fitting := kind.value_for(suffix, value)) != value:
        chosen, value = check_formats([f"{kind.name}={fitting}", *chosen[1:]]), fitting
    own = _suffixes(kind, value, still=still)
    if not own:
        pictures = suffix in kind.still_suffixes(value)
        several = "a picture a frame" if pictures else "several files" if Path(kind.output).suffix else "a folder"
        instead = "" if kind.suffix_of(None) else _instead(suffix, still=still)
        raise UsageError(
            f"one file {path} of the format {chosen[0]}",
            why=f"{chosen[0]} writes {several if kind.shape in {'file', 'video'} else kind.shape}",
            fix=f"name a folder: {_as_folder(path)}"
            + (", or take one frame: " + _ONE_FRAME if not still and pictures else instead),
        )
    if suffix not in own:
        if frame is not None and suffix in _suffixes(kind, value, still=False):
            raise _one_frame_of_part(path, chosen[0], own=own, frame=frame)
        raise UsageError(
            f"{path} of the format {chosen[0]}",
            why=f"{chosen[0]} makes {' or '.join(own)} files" + (" of a single picture" if still else ""),
            fix=f"write {path.with_suffix(own[0])}{_instead(suffix, still=still)}",
        )
    return Output(path=path, formats=chosen, is_file=True, still=still, overwrite=overwrite, keep=keep)


def _one_frame_of_part(path: Path, format: str, *, own: Sequence[str], frame: int) -> UsageError:
    """Return the error of a video that was asked for of a part that has one frame."""
    longer = "an earlier " + Words("--start", python="start") if frame else "a later " + Words("--end", python="end")
    return UsageError(
        f"{path} of the format {format}",
        why=f"the part has one frame (f{frame}), and one frame is written as a picture: {' or '.join(own)}",
        fix=f"write {path.with_suffix(own[0])}, or take more frames: " + longer,
    )


def _suffixes(kind: type[Format], value: str | None, *, still: bool) -> tuple[str, ...]:
    """Return the suffixes that the one file of a format may have; none if it makes several."""
    return kind.still_suffixes(value) if still else tuple(filter(None, [kind.suffix_of(value)]))


def _meant_suffixes(kind: type[Format], value: str | None, *, still: bool) -> tuple[str, ...]:
    """Return those of a format as it was asked for; with a file for each object, which is refused, those of one."""
    each = issubclass(kind, EachObjectFormat) and kind.is_each(value)
    return _suffixes(kind, None if each else value, still=still)


def _file_first(chosen: tuple[str, ...], path: Path, *, still: bool) -> tuple[str, ...]:
    """Return several formats, first the one that makes the file; the others lie beside it."""
    suffix = path.suffix.lower()
    parsed = {name: parse_format(name) for name in chosen}
    # What makes such a file as it was asked for goes before what could: -f matte-video is an mp4 beside -f prores.
    makers = [
        name for name, (kind, value) in parsed.items() if suffix in _meant_suffixes(kind, value, still=still)
    ] or [
        name
        for name, (kind, value) in parsed.items()
        if suffix in _suffixes(kind, kind.value_for(suffix, value), still=still)
    ]
    if len(makers) != 1:
        raise UsageError(
            f"one file {path} for {listed(chosen)}",
            why=f"a file is of one format, and {listed(makers) if makers else 'none of them'} "
            f"make{'' if makers else 's'} {suffix} files",
            fix=f"ask for one of these, or name a folder: {_as_folder(path)}"
            if makers
            else f"name a folder: {_as_folder(path)}{_instead(suffix, still=still)}",
        )
    return (*makers, *(name for name in chosen if name not in makers))


def _numbered(plain: Path, suffix: str, formats: Sequence[str], *, composition: Composition) -> Words:
    """Return the remedy for a pattern of names: the format and the folder that have numbered files of this suffix."""
    usual = USUAL_OF_STILLS.get(suffix, "rgba")
    asked = composed_formats(formats or ([] if composition.background is not None else [usual]), composition)
    chosen = _of_pictures(asked[0], suffix) or usual
    kind, value = parse_format(chosen)
    pictures = kind.name if Path(kind.output).suffix else kind.output
    first = plain / pictures / f"00000{kind.still_suffixes(value)[0]}"
    is_one = suffix in USUAL and suffix not in USUAL_OF_STILLS
    file = f"{plain}{suffix}"
    one = "; for one file: " + Words(f"-o {shlex.quote(file)}", python=f"output={file!r}") if is_one else ""
    return "name the format and a folder: " + _call(chosen, f"{plain}{os.sep}") + f", for {first} and so on" + one


def _call(format: str, output: str) -> Words:
    """Return the options that ask for a format and its output."""
    return Words(
        f"-f {shlex.quote(format)} -o {shlex.quote(output)}", python=f"formats=[{format!r}], output={output!r}"
    )


def _of_pictures(name: str, suffix: str) -> str | None:
    """Return the format with the value by which it writes a picture of this suffix a frame; None if it has none."""
    kind, value = parse_format(name)
    for given in (kind.value_for(suffix, value), with_options(value, {suffix[1:]: True})):
        with suppress(CovosError):
            if given:
                kind.check_value(given)
            if not kind.suffix_of(given) and suffix in kind.still_suffixes(given):
                return f"{kind.name}={given}" if given else kind.name
    return None


def _is_of(path: Path, kind: type[Format]) -> bool:
    """Tell if an output has the name of a format: its own file or folder, or a folder in place of its video."""
    return path.stem == Path(kind.output).stem and (path.is_dir() or bool(Path(kind.output).suffix))


def _only_picture(made: Path, suffixes: Collection[str]) -> Path:
    """Return the picture that a format with a folder has made of the one frame; beside it may lie what explains it."""
    if not made.is_dir():
        return made
    (picture,) = (each for each in made.iterdir() if each.suffix in suffixes)
    return picture


def _is_among(path: Path, name: str) -> bool:
    """Return True if a file is what a name stands for, or one of the files in its folder or of its glob."""
    given = Path(name)
    if given.is_dir():
        return path.resolve().parent == given.resolve() and path.suffix.lower() in IMAGE_SUFFIXES
    if is_there(given):
        return path.samefile(given)
    return any(each.name == path.name and path.samefile(each) for each in matches_of(name))


def is_folder(where: str | os.PathLike[str]) -> bool:
    """Tell if the name of an output is that of a folder, and not of one file."""
    path = Path(where)
    suffix = path.suffix.lower()
    if path.is_dir() or os.fspath(where).endswith(("/", os.sep)):
        return True
    named = bool(get_close_matches(suffix[1:], FORMATS, n=1, cutoff=_NEAR))  # x.prores, or a slip of it
    return not (named or _FILE.fullmatch(suffix) or suffix in IMAGE_SUFFIXES or suffix in formats_by_suffix())


def _by_name(path: Path, *, still: bool) -> str:
    """Return the format that the name of a file asks for."""
    suffix = path.suffix.lower()
    usual = {**USUAL, **USUAL_OF_STILLS} if still else USUAL
    if suffix in usual:
        return usual[suffix]
    meant = _meant(path, suffix, still=still)
    raise UsageError(
        f"no format writes {suffix} files: {path}",
        why="the name of a file chooses its format" + ("" if meant else f", among {', '.join(sorted(usual))}"),
        fix=meant or f"choose one of these, or name a folder: {_as_folder(path)}",
    )


def _meant(path: Path, suffix: str, *, still: bool) -> str | Words:
    """Return the remedy for a suffix that no format has, by what comes nearest; nothing if nothing is near."""
    if suffix in _LIKE_MP4:
        return f"write {path.with_suffix('.mp4')} or {path.with_suffix('.mov')}"
    if still and suffix in _LIKE_JPEG:
        alpha = f"write {path.with_suffix('.png')} or {path.with_suffix('.webp')}, which have alpha"
        over = Words("--background white", python='covos.Composition(background="white")')
        return f"{alpha}; or lay the subject over something: " + over if suffix in _JPEG else alpha
    folder = f"{path.with_suffix('')}{os.sep}"
    pictures = USUAL_OF_STILLS.get(suffix, "rgba" if suffix in _LIKE_JPEG else "")
    if pictures:
        one = "; or one frame as a file: " + _ONE_FRAME if suffix in USUAL_OF_STILLS else ""
        return "write a folder of pictures: " + _call(pictures, folder) + one
    if named := get_close_matches(suffix[1:], FORMATS, n=1, cutoff=_NEAR):
        own = load_format(named[0]).suffix_of(None)
        return "did you mean " + _call(named[0], str(path.with_suffix(own)) if own else folder) + "?"
    usual = {**USUAL, **USUAL_OF_STILLS} if still else USUAL
    swapped = [each for each in usual if sorted(each) == sorted(suffix)]
    close = swapped or get_close_matches(suffix, usual, n=1)
    return f"did you mean {path.with_suffix(close[0])}?" if close else ""


def _as_folder(path: Path) -> str:
    """Return a name that is a folder for sure."""
    known = path.suffix.lower() in formats_by_suffix() | formats_by_suffix(still=True)
    return str(path.with_suffix("")) if known else f"{path}{os.sep}"


def _instead(suffix: str, *, still: bool) -> str:
    names = formats_by_suffix(still=still).get(suffix)
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
