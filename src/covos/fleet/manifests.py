"""Manifests: tables and lists that name the clips of a batch, and set what holds for each.

A manifest is a table, CSV or Parquet, with a row for each clip and a column ``input``; or a text file with an input on
each line. These further columns set for one clip what else holds for all: see `Clip`. Other columns are carried over
to the summary. It may lie at a URL; paths in it start from where it lies.
"""

from __future__ import annotations

import csv
import glob
import io
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError

from covos.core.errors import CovosError, InputError, UsageError, listed
from covos.core.guarded import SafeFraction, text_of
from covos.core.numbered import is_numbered
from covos.core.records import Record, faults
from covos.core.remote import is_remote
from covos.fleet.folders import Folders
from covos.fleet.places import read_file
from covos.media.listing import VIDEO_SUFFIXES
from covos.media.rates import written_rate

TABLES: Final = (".csv", ".parquet", ".txt")
"""Suffixes of manifests."""
_SHOWN = ("point", "points", "box", "boxes", "within", "exclude", "region", "regions")
_ASIDE = "if it is only for the summary, give it a name that no setting resembles"
_RAW: Final = (".264", ".265", ".266")
"""Suffixes of bare streams, which are digits."""
_FAULTS_SHOWN: Final = 50
"""Faults of a manifest that one message names."""
SHARED_ROWS: Final = "a folder has the name in the column called name, or that of its clip, without the suffix"
ROWS_APART: Final = "add a column called name, if there is none, and give each row a folder of its own"
_WHOLE: Final = re.compile(r"([+-]?[0-9]+)\.0*")
_FIX = "a manifest has a column input; docs/batch.md lists the others"


def _given(cell: object) -> object:
    """An empty cell says nothing."""
    return None if cell is None or cell == "" or cell != cell else cell  # noqa: PLR0124 - NaN


def _as_text(cell: object) -> str | None:
    cell = _given(cell)
    return cell if cell is None else str(cell)


def _whole(cell: object) -> object:
    """Read ``3.0`` as 3: so do programs write a whole number into a column that has a gap."""
    cell = _given(cell)
    found = _WHOLE.fullmatch(str(cell).strip())
    return cell if found is None else found[1]


_Text = Annotated[str | None, BeforeValidator(_as_text)]


class Clip(Record):
    """One clip of a batch. A value of None means the one for all clips.

    Attributes:
        input: A path, a pattern of pictures, or a URL.
        name: Its folder below the output, with ``/`` between folders.
        prompts: A prompt file, whose objects are followed, or which steers the subject.
        mask: A mask of the first frame that is taken, whose objects are followed.
        objects: How many objects are found: 1, ``auto`` or a number.
        start: The first place that is taken, as of ``--start``.
        end: The place at which the part ends.
        every: Each N-th frame is taken.
        label: What its objects are called.
        frame_rate: Frames a second of a folder of frames.
        carried: Further columns of its row: texts of a CSV file, values of a Parquet file; None for an empty cell.
        manifest: The manifest that lists it; None where it was named otherwise.
        row: The number of its row there, from 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: Annotated[str, Field(min_length=1)]
    name: str
    prompts: _Text = None
    mask: _Text = None
    objects: Annotated[_Text, BeforeValidator(_whole)] = None
    start: _Text = None
    end: _Text = None
    every: Annotated[int | None, Field(ge=1, le=1_000_000_000), BeforeValidator(_whole)] = None
    label: _Text = None
    frame_rate: Annotated[SafeFraction | None, BeforeValidator(written_rate), BeforeValidator(_given)] = None
    carried: dict[str, Any] = Field(default_factory=dict)
    manifest: str | None = None
    row: int | None = None


SETTINGS: Final = tuple(name for name in Clip.model_fields if name not in ("input", "carried", "manifest", "row"))


def read_manifest(place: str, *, check: Callable[[Clip], Iterable[CovosError]] = lambda _: ()) -> list[Clip]:
    """Return the clips of a manifest.

    Args:
        place: A path, or a URL that fsspec knows.
        check: Called with the clip of each row; returns what is wrong with it.

    Raises:
        InputError: It cannot be read, or rows are wrong: all faults of all of them are told at once.
        UsageError: All faults are settings: that do not exist, or of wrong values.
        EnvironmentProblem: The file system of its URL cannot be reached.
    """
    clips: list[Clip] = []
    wrong: dict[int, list[CovosError]] = {}
    folders = Folders[Clip]()
    for number, row in enumerate(_ROWS[path_of(place).suffix.lower()](place), 1):
        if number == 1:
            _check_columns(row, place)
        clip, found = _clip(row, place=place, number=number, check=check, folders=folders)
        if found:
            wrong[number] = found
        else:
            clips.append(clip)
    if not (clips or wrong):
        raise InputError(f"{place} lists no clip", why="it has no rows", fix=_FIX)
    if wrong:
        raise _wrong_rows(place, wrong)
    return clips


def from_folder_of(error: CovosError, place: str) -> None:
    """Let an error of a file that is not there say that the paths of a manifest start from its own folder."""
    error.remedy = error.remedy.changed(
        lambda text: text.replace("from the current folder", f"from the folder of {place}")
    )


def _wrong_rows(place: str, wrong: Mapping[int, Sequence[CovosError]]) -> CovosError:
    """Return the error that names every fault of every wrong row; wrong settings alone are a wrong call."""
    every = [(number, error) for number, errors in wrong.items() for error in errors]
    for _, error in every:
        from_folder_of(error, place)
    kind = UsageError if all(isinstance(error, UsageError) for _, error in every) else InputError
    number, first = every[0]
    if len(every) == 1:
        return kind(f"{place}, row {number}: {first.what}", why=first.why, fix=first.remedy)
    several = len(wrong) > 1
    told = [f"row {row}: " * several + f"{each.what} ({each.why})" for row, each in every]
    of, them = (
        (f"{len(wrong)} rows", "these rows, or remove them") if several else (f"row {number}", "it, or remove it")
    )
    return kind(
        f"{of} of {place} cannot be used",
        why=listed(told, shown=_FAULTS_SHOWN),
        fix=f"correct {them}; nothing was begun",
    )


def _check_columns(row: Mapping[str, Any], place: str) -> None:
    if "input" in row:
        _refuse_near(row, place)
        return
    if len(row) == 1 and ";" in (only := next(iter(row))):
        raise InputError(
            f"{place} has no column input",
            why=f"its cells are divided by semicolons: {only}",
            fix="save it with commas",
        )
    near = get_close_matches("input", list(row), n=1)
    raise InputError(
        f"{place} has no column input",
        why=f"its columns are {listed(row, shown=8)}",
        fix=f"call the column input, not {near[0]}" if near else _FIX,
    )


def _clip(
    row: Mapping[str, Any],
    *,
    place: str,
    number: int,
    check: Callable[[Clip], Iterable[CovosError]],
    folders: Folders[Clip],
) -> tuple[Clip, list[CovosError]]:
    """Return the clip of a row, and all that is wrong with it: then the clip lacks what is wrong."""
    wrong: list[CovosError] = []
    known = {name: row[name] for name in SETTINGS if name in row}
    paths: dict[str, Any] = {"input": row["input"]}
    paths |= {name: known[name] for name in ("prompts", "mask") if name in known}
    for name, cell in paths.items():
        try:
            paths[name] = None if (text := _as_text(cell)) is None else beside(text, place)
        except InputError as error:
            wrong.append(error)
            paths[name] = None
    given = paths.pop("input")
    if _as_text(row["input"]) is None:
        wrong.append(InputError("it has no input", why="its cell is empty", fix="fill it in, or remove the row"))
    known |= paths
    known["name"] = _as_text(known.get("name")) or (name_of(given) if given else "-")
    others = {str(name): cell for name, cell in row.items() if name not in SETTINGS and name != "input"}
    fixed: dict[str, Any] = {"input": given or "-", "carried": others, "manifest": place, "row": number}
    try:
        clip = Clip(**fixed, **known)
    except ValidationError as error:
        wrong.append(UsageError("a cell cannot be used", why=faults(error), fix=_FIX))
        bad = {each["loc"][0] for each in error.errors(include_url=False)}
        clip = Clip(**fixed, **{name: value for name, value in known.items() if name not in bad})
    named = PurePosixPath(clip.name)
    if named.is_absolute() or ".." in named.parts or not named.parts:
        wrong.append(
            UsageError(
                f"the name {clip.name!r} cannot be used", why="it is a folder below the output", fix="give a plain name"
            )
        )
    elif given:
        wrong += check(clip)
        if (other := folders.take(clip.name, clip)) is not None:
            share = f"{told_inputs(clip, other)} would share the folder {other.name} with row {other.row}"
            wrong.append(UsageError(share, why=SHARED_ROWS, fix=ROWS_APART))
    return clip, wrong


def told_inputs(clip: Clip, other: Clip) -> str:
    """Name the inputs of two clips, of which the other comes first."""
    return other.input if other.input == clip.input else f"{other.input} and {clip.input}"


def _refuse_near(row: Mapping[str, Any], place: str) -> None:
    """Refuse columns that would set nothing, though their names say that they are to."""
    wrong = []
    for name in (str(each) for each in row if each not in SETTINGS and each != "input"):
        word = name.strip().lower()
        what = f"{place} has a column {name!r}, which sets nothing"
        if word in _SHOWN:
            fix = f"write it into a prompt file (docs/follow.md) and name that in the column prompts; {_ASIDE}"
            wrong.append(UsageError(what, why="a manifest shows objects by a file", fix=fix))
        elif near := get_close_matches(word, [*SETTINGS, "input"], n=1, cutoff=0.75):
            why = f"the name is nearly {near[0]!r}, which is a setting"
            wrong.append(UsageError(what, why=why, fix=f"rename the column to {near[0]}; {_ASIDE}"))
    if len(wrong) == 1:
        raise wrong[0]
    if wrong:
        raise UsageError(
            f"{len(wrong)} columns of {place} set nothing",
            why="; ".join(f"{each.what}: {each.why}" for each in wrong),
            fix="; ".join(each.fix.removesuffix(f"; {_ASIDE}") for each in wrong) + f"; {_ASIDE}",
        )


def path_of(given: str) -> PurePosixPath:
    """Return the path of a URL on its file system, or in its archive; or a path itself."""
    if not is_remote(given):
        return PurePosixPath(Path(given).as_posix())
    return PurePosixPath(_without_queries(given).partition("://")[2].partition("::")[0])


def has_wildcards(given: str) -> bool:
    """Tell if there are wildcards in a path or a URL; the ``?`` of a web address begins its query."""
    return glob.has_magic(_without_queries(given))


def _without_queries(given: str) -> str:
    """Return a URL without the queries of its web addresses, such as the signature of one that is lent for a time."""
    links = given.split("::")  # an archive may lie at a web address
    return "::".join(each.partition("?")[0] if each.startswith(("http://", "https://")) else each for each in links)


def name_of(given: str) -> str:
    """Return the name of the folder of an input's results.

    It is the input's own name without the suffix, a folder's whole name, and of a pattern that of the folder which it
    lies in. No URL is asked if it names a folder: digits alone are no suffix there.
    """
    path, is_far = path_of(given), is_remote(given)
    is_video = path.suffix.lower() in {*VIDEO_SUFFIXES, *_RAW}
    if (has_wildcards(given) or is_numbered(given)) and not (is_video if is_far else Path(given).exists()):
        plain = [part for part in path.parts[:-1] if part != "/" and not glob.has_magic(part)]
        return plain[-1] if plain else "frames"
    if path.suffix[1:].isdecimal() and not is_video if is_far else Path(given).is_dir():
        return path.name or Path(given).resolve().name
    return path.stem


def beside(given: str, place: str) -> str:
    """Return where a path of a manifest leads: it starts from the folder, or from the URL, in which the manifest lies.

    Raises:
        InputError: It leads out of what the URL names, such as a bucket.
    """
    if is_remote(given):
        return given
    if not is_remote(place):
        return str(Path(place).parent / given)
    if Path(given).is_absolute():  # of this machine, as in any other manifest
        return given
    here, chain, archive = place.partition("::")
    protocol, _, path = here.partition("://")
    there = posixpath.normpath(posixpath.join(posixpath.dirname(path), given))
    if there.startswith(".."):
        raise InputError(
            f"{given} leads nowhere", why=f"it leads up and out of {protocol}://", fix="correct the path, or give a URL"
        )
    return f"{protocol}://{there}{chain}{archive}"


def _content(place: str) -> bytes:
    return read_file(place, fix="check the name of the manifest")


def _text(place: str) -> str:
    try:
        return text_of(_content(place))
    except UnicodeDecodeError as error:
        raise InputError(f"{place} cannot be read", why=f"it is not UTF-8: {error}", fix="save it as UTF-8") from None


def _csv_rows(place: str) -> Iterator[dict[str, Any]]:
    reader = csv.DictReader(io.StringIO(_text(place)))
    try:
        for row in reader:
            if row.pop(None, None):  # where the reader puts cells beyond the last column
                raise InputError(
                    f"{place}, line {reader.line_num} has more cells than columns",
                    why="a comma stands in a cell, most often",
                    fix="put such a cell in double quotes",
                )
            row.pop("", None)  # a column without a name counts the rows: other programs write it
            yield {name: cell or None for name, cell in row.items()}
    except csv.Error as error:
        raise InputError(
            f"{place}, line {reader.line_num} cannot be read", why=str(error), fix="save it as CSV"
        ) from None


def _parquet_rows(place: str) -> Iterator[dict[str, Any]]:
    yield from _from_parquet(place, lambda table, file: table.read_table(file).to_pylist())


def parquet_fields(place: str) -> dict[str, Any]:
    """Return the columns of a Parquet manifest as Arrow's fields, by name; none of another manifest.

    Raises:
        InputError: It cannot be read.
    """
    if path_of(place).suffix.lower() != ".parquet":
        return {}
    return {field.name: field for field in _from_parquet(place, lambda table, file: table.read_schema(file))}


def _from_parquet(place: str, read: Callable[[Any, io.BytesIO], Any]) -> Any:
    table, errors = parquet()
    content = _content(place)
    try:
        return read(table, io.BytesIO(content))
    except errors as error:
        raise InputError(f"{place} cannot be read", why=str(error), fix="write it as Parquet again") from None


def parquet() -> tuple[Any, Any]:
    """Return the reader and writer of Parquet, and the class of its errors."""
    try:
        import pyarrow
        import pyarrow.parquet as table
    except ImportError:
        raise UsageError(
            "Parquet cannot be read or written here", why="pyarrow is not installed", fix="pip install 'covos[parquet]'"
        ) from None
    return table, (pyarrow.ArrowException, OSError, ValueError)


def _lines(place: str) -> Iterator[dict[str, Any]]:
    for line in _text(place).splitlines():
        if (given := line.strip()) and not given.startswith("#"):
            yield {"input": given}


_ROWS: Final[dict[str, Callable[[str], Iterator[dict[str, Any]]]]] = {
    ".csv": _csv_rows,
    ".parquet": _parquet_rows,
    ".txt": _lines,
}
