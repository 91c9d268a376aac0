"""Clips: what a batch is to work through, as folders, patterns, URLs and manifests name it.

A manifest is a table, CSV or Parquet, with a row for each clip and a column ``input``; or a text file with an input on
each line. These further columns set for one clip what else holds for all: see `Clip`. Other columns are carried over
to the summary.
"""

from __future__ import annotations

import csv
import glob
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError

from covos.core.errors import CovosError, InputError, SourceError, UsageError, listed
from covos.core.guarded import SafeFraction, read_guarded
from covos.core.records import Record, faults
from covos.core.remote import is_remote
from covos.fleet.places import in_shard, matches, shard_files
from covos.media.images import IMAGE_SUFFIXES, natural_key
from covos.runs.folder import LIST

VIDEO_SUFFIXES: Final = frozenset(
    [
        ".3gp",
        ".avi",
        ".flv",
        ".gif",
        ".m2ts",
        ".m4v",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".mts",
        ".mxf",
        ".nut",
        ".ogv",
        ".ts",
        ".vob",
        ".webm",
        ".wmv",
        ".y4m",
    ]
)
"""Names of files that are taken for videos in a folder. The content of a file that is named itself decides."""
SHARD: Final = ".tar"
"""Name of a file whose videos are clips. It is not compressed: what lies in it is read from its place."""
TABLES: Final = (".csv", ".parquet", ".txt")
_SHOWN = ("point", "points", "box", "boxes", "within", "exclude", "region", "regions")
_ASIDE = "if it is only for the summary, give it a name that no setting resembles"
_ROWS_SHOWN: Final = 50
"""Wrong rows of a manifest that one message names."""
_FIX = "a manifest has a column input; docs/batch.md lists the others"


def _given(cell: object) -> object:
    """An empty cell says nothing."""
    return None if cell is None or cell == "" or cell != cell else cell  # noqa: PLR0124 - NaN


def _as_text(cell: object) -> object:
    cell = _given(cell)
    return cell if cell is None else str(cell)


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
        carried: Further columns of its row.
        manifest: The manifest that lists it; None where it was named otherwise.
        row: The number of its row there, from 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: Annotated[str, Field(min_length=1)]
    name: str
    prompts: _Text = None
    mask: _Text = None
    objects: _Text = None
    start: _Text = None
    end: _Text = None
    every: Annotated[int | None, Field(ge=1, le=1_000_000_000), BeforeValidator(_given)] = None
    label: _Text = None
    frame_rate: Annotated[SafeFraction | None, BeforeValidator(_given)] = None
    carried: dict[str, str] = Field(default_factory=dict)
    manifest: str | None = None
    row: int | None = None


SETTINGS: Final = tuple(name for name in Clip.model_fields if name not in ("input", "carried", "manifest", "row"))


def read_clips(
    inputs: Iterable[str | os.PathLike[str]], *, check: Callable[[Clip], None] = lambda _: None
) -> tuple[Clip, ...]:
    """List the clips that inputs stand for.

    Args:
        inputs: Each is a video; a folder, of which every video and every folder of pictures is a clip, in folders
            below, too; a pattern, likewise (one of pictures alone is one clip); a tar file, of which every video is; a
            URL of one of these, with wildcards or without; or a manifest. Hidden files, and folders that hold a result
            of covos, are left out.
        check: Called with the clip of each row of a manifest; a CovosError refuses the row.

    Returns:
        In order: of the inputs, and of names within one.

    Raises:
        SourceError: An input stands for nothing.
        InputError: A manifest cannot be read, or rows of it are wrong: it names all of them.
        UsageError: Two clips would share a folder, or a manifest sets something that does not exist.
    """
    clips = tuple(clip for each in inputs for clip in _clips(os.fspath(each), check))
    _refuse_shared(clips)
    return clips


def _clips(given: str, check: Callable[[Clip], None]) -> Iterator[Clip]:
    if Path(given).suffix.lower() in TABLES and not glob.has_magic(given):
        yield from _manifest(Path(given), check)
    elif is_remote(given):
        for url in matches(given) if glob.has_magic(given) else [given]:
            place = PurePosixPath(url.partition("://")[2].partition("::")[0])
            yield from _shard(url) if _is_shard(url) else [Clip(input=url, name=place.stem)]
    elif (path := Path(given)).is_dir():
        yield from _folder(path)
    elif glob.has_magic(given) and not path.exists():
        yield from _pattern(given)
    elif _is_shard(given) and path.exists():
        yield from _shard(given)
    else:
        yield Clip(input=given, name=path.stem)  # one that is not there fails by itself


def _is_shard(given: str) -> bool:
    # The URL of a file in one ends in the name of the tar file, too.
    return given.lower().endswith(SHARD) and "::" not in given


def _shard(shard: str, place: PurePosixPath | None = None) -> Iterator[Clip]:
    """List the videos in a tar file, in a folder of its name."""
    own = (place or PurePosixPath()) / PurePosixPath(shard.rpartition("://")[2] if is_remote(shard) else shard).stem
    videos = [name for name in shard_files(shard) if Path(name).suffix.lower() in VIDEO_SUFFIXES]
    if not videos:
        raise SourceError(
            f"{shard}: there is no clip in it",
            why="none of the files in it is a video",
            fix=f"videos end in {', '.join(sorted(VIDEO_SUFFIXES))}; unpack folders of frames",
        )
    for name in videos:
        yield Clip(input=in_shard(shard, name), name=str(own / PurePosixPath(name).with_suffix("")))


def _folder(folder: Path) -> Iterator[Clip]:
    found = list(_below(folder, PurePosixPath()))
    if not found:
        raise SourceError(
            f"{folder}: there is no clip in it",
            why="neither it nor a folder below holds a video, pictures or a tar file",
            fix=f"videos end in {', '.join(sorted(VIDEO_SUFFIXES))}; name other files one by one",
        )
    yield from found


def _below(folder: Path, place: PurePosixPath) -> Iterator[Clip]:
    """List the clips of a folder and of those below; ``place`` is where it lies below the one that was named."""
    try:
        found = [each for each in os.scandir(folder) if each.name[0] != "."]
    except OSError:
        if not place.parts:
            raise
        yield Clip(input=str(folder), name=str(place))
        return
    entries = sorted(found, key=lambda each: natural_key(each.name))
    # A pipe, a link to nothing or to itself, and a folder that may not be read are clips that fail by themselves.
    videos = [each for each in entries if Path(each.name).suffix.lower() in VIDEO_SUFFIXES and not _is_folder(each)]
    for each in videos:
        yield Clip(input=each.path, name=str(place / Path(each.name).stem))
    shards = [each for each in entries if _is_shard(each.name) and Path(each.path).is_file()]
    for each in shards:
        yield from _shard(each.path, place)
    if not (videos or shards) and any(Path(each.name).suffix.lower() in IMAGE_SUFFIXES for each in entries):
        yield Clip(input=str(folder), name=str(place if place.parts else folder.resolve().name))
        return
    for each in entries:
        # A link may lead back up, and a result is no input.
        if each.is_dir(follow_symlinks=False) and not (Path(each.path) / LIST).exists():
            yield from _below(Path(each.path), place / each.name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _pattern(pattern: str) -> Iterator[Clip]:
    found = sorted((Path(each) for each in glob.glob(pattern, recursive=True)), key=lambda each: natural_key(str(each)))  # noqa: PTH207
    if not found:
        raise SourceError(f"{pattern}: the pattern matches nothing", why="no file has such a name", fix="check it")
    if all(each.suffix.lower() in IMAGE_SUFFIXES for each in found):
        yield Clip(input=pattern, name=Path(pattern).parent.name or "frames")
        return
    for each in found:
        if each.is_dir():
            yield from _folder(each)
        else:
            yield from _shard(str(each)) if _is_shard(each.name) else [Clip(input=str(each), name=each.stem)]


def _manifest(file: Path, check: Callable[[Clip], None]) -> list[Clip]:
    """Return the clips of a manifest; all its wrong rows are told at once."""
    clips: list[Clip] = []
    wrong: dict[int, CovosError] = {}
    for number, row in enumerate(_ROWS[file.suffix.lower()](file), 1):
        if number == 1:
            _check_columns(row, file)
        try:
            clip = _clip(row, file=file, number=number)
            check(clip)
        except CovosError as error:
            wrong[number] = error
        else:
            clips.append(clip)
    if not (clips or wrong):
        raise InputError(f"{file} lists no clip", why="it has no rows", fix=_FIX)
    if wrong:
        raise _wrong_rows(file, wrong)
    return clips


def _wrong_rows(file: Path, wrong: Mapping[int, CovosError]) -> CovosError:
    """Return the error that names every wrong row; wrong settings alone are a wrong call."""
    (number, first), *others = wrong.items()
    for error in wrong.values():
        # The paths of a manifest start from its own folder.
        error.fix = error.fix.replace("from the current folder", f"from the folder of {file}")
    kind = UsageError if all(isinstance(each, UsageError) for each in wrong.values()) else InputError
    if not others:
        return kind(f"{file}, row {number}: {first.what}", why=first.why, fix=first.fix)
    told = listed((f"row {row}: {each.what} ({each.why})" for row, each in wrong.items()), shown=_ROWS_SHOWN)
    return kind(
        f"{len(wrong)} rows of {file} cannot be used",
        why=told,
        fix="correct these rows, or remove them; nothing was begun",
    )


def _check_columns(row: Mapping[str, Any], file: Path) -> None:
    if "input" in row:
        _refuse_near(row, file)
        return
    if len(row) == 1 and ";" in (only := next(iter(row))):
        raise InputError(
            f"{file} has no column input", why=f"its cells are divided by semicolons: {only}", fix="save it with commas"
        )
    near = get_close_matches("input", list(row), n=1)
    raise InputError(
        f"{file} has no column input",
        why=f"its columns are {listed(row, shown=8)}",
        fix=f"call the column input, not {near[0]}" if near else _FIX,
    )


def _clip(row: Mapping[str, Any], *, file: Path, number: int) -> Clip:
    if _as_text(row["input"]) is None:
        raise InputError("it has no input", why="its cell is empty", fix="fill it in, or remove the row")
    given = _beside(str(row["input"]), file)
    known = {name: row[name] for name in SETTINGS if name in row}
    known["name"] = (
        _as_text(known.get("name")) or PurePosixPath(given.partition("://")[2] or Path(given).as_posix()).stem
    )
    for name in ("prompts", "mask"):
        if (text := _as_text(known.get(name))) is not None:
            known[name] = _beside(str(text), file)
    others = {str(name): str(value) for name, value in row.items() if name not in SETTINGS and name != "input"}
    try:
        clip = Clip(input=given, carried=others, manifest=str(file), row=number, **known)
    except ValidationError as error:
        raise UsageError("a cell cannot be used", why=faults(error), fix=_FIX) from None
    place = PurePosixPath(clip.name)
    if place.is_absolute() or ".." in place.parts or not place.parts:
        raise UsageError(
            f"the name {clip.name!r} cannot be used", why="it is a folder below the output", fix="give a plain name"
        )
    return clip


def _refuse_near(row: Mapping[str, Any], file: Path) -> None:
    """Refuse a column that would set nothing, though its name says that it is to."""
    for name in (str(each) for each in row if each not in SETTINGS and each != "input"):
        word = name.strip().lower()
        if word in _SHOWN:
            raise UsageError(
                f"{file} has a column {name!r}, which sets nothing",
                why="a manifest shows objects by a file",
                fix=f"write it into a prompt file (docs/follow.md) and name that in the column prompts; {_ASIDE}",
            )
        if near := get_close_matches(word, [*SETTINGS, "input"], n=1, cutoff=0.75):
            raise UsageError(
                f"{file} has a column {name!r}, which sets nothing",
                why=f"the name is nearly {near[0]!r}, which is a setting",
                fix=f"rename the column to {near[0]}; {_ASIDE}",
            )


def _beside(given: str, file: Path) -> str:
    """A path of a manifest starts from its folder."""
    return given if is_remote(given) else str(file.parent / given)


def _text(file: Path) -> str:
    content = read_guarded(file, what=f"{file} cannot be read", fix="check the name of the manifest")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{file} cannot be read", why=f"it is not UTF-8: {error}", fix="save it as UTF-8") from None


def _csv_rows(file: Path) -> Iterator[dict[str, Any]]:
    reader = csv.DictReader(io.StringIO(_text(file)), restkey="")
    try:
        for row in reader:
            if row.pop("", None):
                raise InputError(
                    f"{file}, line {reader.line_num} has more cells than columns",
                    why="a comma stands in a cell, most often",
                    fix="put such a cell in double quotes",
                )
            yield row
    except csv.Error as error:
        raise InputError(
            f"{file}, line {reader.line_num} cannot be read", why=str(error), fix="save it as CSV"
        ) from None


def _parquet_rows(file: Path) -> Iterator[dict[str, Any]]:
    table, errors = parquet()
    content = read_guarded(file, what=f"{file} cannot be read", fix="check the name of the manifest")
    try:
        yield from table.read_table(io.BytesIO(content)).to_pylist()
    except errors as error:
        raise InputError(f"{file} cannot be read", why=str(error), fix="write it as Parquet again") from None


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


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    for line in _text(file).splitlines():
        if (given := line.strip()) and not given.startswith("#"):
            yield {"input": given}


_ROWS: Final[dict[str, Callable[[Path], Iterator[dict[str, Any]]]]] = {
    ".csv": _csv_rows,
    ".parquet": _parquet_rows,
    ".txt": _lines,
}


def _refuse_shared(clips: Sequence[Clip]) -> None:
    taken: dict[PurePosixPath, Clip] = {}
    for clip in clips:
        place = PurePosixPath(clip.name)
        if (other := taken.setdefault(place, clip)) is not clip:
            raise _shared(clip, other)
    for place, clip in taken.items():
        for above in place.parents:
            if above in taken:
                raise _shared(clip, taken[above])


def _shared(clip: Clip, other: Clip) -> UsageError:
    return UsageError(
        f"{other.input} and {clip.input} would share the folder {other.name}",
        why="a folder has the name of its clip, without the suffix",
        fix="list them in a manifest with a column name",
    )
