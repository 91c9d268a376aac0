"""Clips: what a batch is to work through, as folders, patterns, URLs and manifests name it."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from covos.core.errors import CovosError, SourceError, UsageError
from covos.core.places import path_text
from covos.core.remote import is_remote
from covos.fleet.folders import Folders
from covos.fleet.manifests import (
    ROWS_APART,
    SHARED_ROWS,
    TABLES,
    Clip,
    has_wildcards,
    name_of,
    path_of,
    read_manifest,
    told_inputs,
)
from covos.fleet.packed import in_shard, shard_files
from covos.fleet.places import files_below, holds_result, is_folder, joined, matches
from covos.media.images import IMAGE_SUFFIXES, natural_key
from covos.media.listing import VIDEO_SUFFIXES
from covos.runs.folder import LIST

_Check = Callable[[Clip], Iterable[CovosError]]

SHARD: Final = ".tar"
"""Name of a file whose videos are clips. It is not compressed: what lies in it is read from its place."""


def read_clips(
    inputs: Iterable[str | os.PathLike[str]],
    *,
    check: Callable[[Clip], Iterable[CovosError]] = lambda _: (),
    leave: Callable[[str], bool] = lambda _: False,
) -> tuple[Clip, ...]:
    """List the clips that inputs stand for.

    Args:
        inputs: Each is a video; a folder, of which every video and every folder of pictures is a clip, in folders
            below, too; a tar file, of which every video is; a manifest; a pattern, of which every match is taken as if
            it was named itself (of pictures alone it is one clip); or a URL of one of these. Hidden files, and folders
            that hold a result of covos, are left out, unless they are named themselves. So are matches of a pattern
            that are folders without a clip.
        check: See `covos.fleet.manifests.read_manifest`.
        leave: Called with a match of a pattern; true if the batch itself writes there.

    Returns:
        In order: of the inputs, and of names within one.

    Raises:
        SourceError: An input stands for nothing, or all matches of a pattern are left out.
        InputError: A manifest cannot be read, or rows of it are wrong: it names all of them.
        UsageError: An input is empty, two clips would share a folder, or a manifest sets something that does not exist.
        EnvironmentProblem: The file system of a URL cannot be reached.
    """
    clips = tuple(clip for each in inputs for clip in _clips(path_text(each, what="an input"), check, leave))
    _refuse_shared(clips)
    return clips


def _clips(given: str, check: _Check, leave: Callable[[str], bool]) -> Iterator[Clip]:
    if has_wildcards(given) and (is_remote(given) or not Path(given).exists()):
        yield from _pattern(given, check, leave)
    else:
        yield from _named(given, check)


def _named(given: str, check: _Check) -> Iterator[Clip]:
    """List the clips of an input that is no pattern, whatever characters are in its name."""
    if path_of(given).suffix.lower() in TABLES:
        yield from read_manifest(given, check=check)
    elif is_remote(given):
        yield from _far(given)
    elif (path := Path(given)).is_dir():
        yield from _folder(path)
    elif _is_shard(given) and path.exists():
        yield from _shard(given)
    else:
        yield Clip(input=given, name=name_of(given))  # one that is not there fails by itself


def _far(url: str) -> Iterator[Clip]:
    if _is_shard(url):
        yield from _shard(url)
    elif path_of(url).suffix.lower() not in VIDEO_SUFFIXES and is_folder(url):
        yield from _far_folder(url)
    else:
        yield Clip(input=url, name=name_of(url))  # one that is not there fails by itself


def _is_shard(given: str) -> bool:
    # The URL of a file in one ends in the name of the tar file, too.
    return given.lower().endswith(SHARD) and "::" not in given


def _shard(shard: str, place: PurePosixPath | None = None) -> Iterator[Clip]:
    """List the videos in a tar file, in a folder of its name."""
    own = (place or PurePosixPath()) / path_of(shard).stem
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
    found = _below(folder, PurePosixPath()).clips
    if not found:
        raise _empty(str(folder))
    yield from found


def _empty(folder: str) -> SourceError:
    return _EmptyError(
        f"{folder}: there is no clip in it",
        why="neither it nor a folder below holds a video, pictures or a tar file",
        fix=f"videos end in {', '.join(sorted(VIDEO_SUFFIXES))}; name other files one by one",
    )


class _Found(NamedTuple):
    """The clips of a folder and of those below it; ``moving`` tells if one of them is a video."""

    clips: list[Clip]
    moving: bool


def _joined(files: list[Clip], pictures: Clip | None, below: Iterable[_Found]) -> _Found:
    """Put the clips of a folder together; its pictures are one if neither it nor a folder below holds a video.

    Pictures beside and above videos are covers and posters.
    """
    found = list(below)
    moving = bool(files) or any(each.moving for each in found)
    if pictures is not None and not moving:
        return _Found([pictures], moving=False)
    return _Found([*files, *(clip for each in found for clip in each.clips)], moving)


def _below(folder: Path, place: PurePosixPath) -> _Found:
    """List the clips of a folder and of those below; ``place`` is where it lies below the one that was named."""
    try:
        found = [each for each in os.scandir(folder) if each.name[0] != "."]
    except OSError:
        if not place.parts:
            raise
        return _Found([Clip(input=str(folder), name=str(place))], moving=False)
    entries = sorted(found, key=lambda each: natural_key(each.name))
    # A pipe, a link to nothing or to itself, and a folder that may not be read are clips that fail by themselves.
    files = [each for each in entries if (Path(each.path).is_file() if _is_shard(each.name) else not _is_folder(each))]
    clips = _files({each.name: each.path for each in files}, place)
    pictures = _pictures(str(folder), (each.name for each in entries), place, name=folder.resolve().name)
    # A link may lead back up, and a result is no input.
    folders = [each for each in entries if each.is_dir(follow_symlinks=False) and not holds_result(each.path)]
    return _joined(clips, pictures, (_below(Path(each.path), place / each.name) for each in folders))


def _files(paths: Mapping[str, str], place: PurePosixPath) -> list[Clip]:
    """List the videos among the files of a folder, then those in its tar files."""
    videos = [name for name in paths if Path(name).suffix.lower() in VIDEO_SUFFIXES]
    clips = [Clip(input=paths[name], name=str(place / Path(name).stem)) for name in videos]
    return [*clips, *(clip for name in paths if _is_shard(name) for clip in _shard(paths[name], place))]


def _pictures(folder: str, files: Iterable[str], place: PurePosixPath, *, name: str) -> Clip | None:
    """Return the clip of a folder's pictures; it has this name if it was named itself."""
    has_some = any(Path(each).suffix.lower() in IMAGE_SUFFIXES for each in files)
    return Clip(input=folder, name=str(place if place.parts else name)) if has_some else None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _far_folder(url: str) -> Iterator[Clip]:
    """List the clips of a folder at a URL as those of one of this machine."""
    files = [each for each in files_below(url) if not any(part[0] == "." and part != LIST for part in each.parts)]
    found = _far_below(url.rstrip("/"), files, PurePosixPath()).clips
    if not found:
        raise _empty(url)
    yield from found


def _far_below(url: str, files: Sequence[PurePosixPath], place: PurePosixPath) -> _Found:
    """List the clips among the files below a folder; ``place`` is where it lies below the one that was named."""
    here = sorted((each.name for each in files if len(each.parts) == 1), key=natural_key)
    clips = _files({name: joined(url, name) for name in here}, place)
    pictures = _pictures(url, here, place, name=path_of(url).name)
    below: dict[str, list[PurePosixPath]] = {}
    for each in files:
        if len(each.parts) > 1:
            below.setdefault(each.parts[0], []).append(PurePosixPath(*each.parts[1:]))
    folders = [name for name in sorted(below, key=natural_key) if PurePosixPath(LIST) not in below[name]]
    return _joined(clips, pictures, (_far_below(joined(url, name), below[name], place / name) for name in folders))


class _EmptyError(SourceError):
    """A folder has no clip: by itself that is wrong, among other matches of a pattern it is not."""


def _pattern(pattern: str, check: _Check, leave: Callable[[str], bool]) -> Iterator[Clip]:
    found = matches(pattern) if is_remote(pattern) else glob.glob(pattern, recursive=True)  # noqa: PTH207
    if not found:
        raise SourceError(f"{pattern}: the pattern matches nothing", why="no file has such a name", fix="check it")
    if all(path_of(each).suffix.lower() in IMAGE_SUFFIXES for each in found):
        yield Clip(input=pattern, name=name_of(pattern))
        return
    is_result = cache(holds_result)
    count = 0
    for each in sorted(found, key=natural_key):
        if leave(each) or any(map(is_result, _folders_of(each, pattern))):
            continue
        try:
            clips = list(_named(each, check))
        except _EmptyError:
            continue
        yield from clips
        count += len(clips)
    if not count:
        raise SourceError(
            f"{pattern}: none of its matches is a clip",
            why="they are results of covos, what this batch writes, and folders without a clip",
            fix="name one of them itself, without a wildcard, if it is to be taken",
        )


def _folders_of(match: str, pattern: str) -> Iterator[str]:
    """List a match and the folders in which it lies, from the first one that wildcards stand for."""
    fixed = next(place for place, part in enumerate(_steps(pattern)) if glob.has_magic(part))
    parts = _steps(match)
    is_file = path_of(match).suffix.lower() in {*VIDEO_SUFFIXES, *TABLES, SHARD}
    for count in range(fixed + 1, len(parts) + (not is_file)):
        if is_remote(match):
            yield match.rstrip("/").removesuffix("/".join(parts[count:])).rstrip("/")
        else:
            path = Path(match)
            yield str([path, *path.parents][len(parts) - count])


def _steps(place: str) -> list[str]:
    return [part for part in path_of(place).parts if part != "/"]  # some file systems begin their URLs with it


def _refuse_shared(clips: Sequence[Clip]) -> None:
    folders = Folders[Clip]()
    for clip in clips:
        if (other := folders.take(clip.name, clip)) is not None:
            raise _shared(clip, other)


def _shared(clip: Clip, other: Clip) -> UsageError:
    """Return the error of two clips, which are not rows of one manifest: it tells its own."""
    share = f"would share the folder {other.name}"
    if clip.manifest is None or other.manifest is None:
        return UsageError(
            f"{other.input} and {clip.input} {share}",
            why="a folder has the name of its clip, without the suffix",
            fix="list them in a manifest with a column called name",
        )
    rows = f"{other.manifest}, row {other.row}, and {clip.manifest}, row {clip.row}"
    return UsageError(f"{rows}: {told_inputs(clip, other)} {share}", why=SHARED_ROWS, fix=ROWS_APART)
