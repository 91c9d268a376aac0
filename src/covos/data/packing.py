"""Pack a data set into shards: a few large files instead of millions of small ones."""

from __future__ import annotations

import os
import secrets
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import Final

from covos.core.errors import SourceError, UsageError
from covos.core.files import atomic_path, hidden_beside
from covos.core.guarded import read_guarded
from covos.core.places import Packed, inside, name_of, path_text
from covos.core.records import write_record
from covos.core.shards import INDEX, Shard, ShardIndex, Shards
from covos.core.words import OVERWRITE
from covos.data.opening import open_collection
from covos.data.trees import natural
from covos.data.video import Video
from covos.media.images import IMAGE_SUFFIXES

SHARD_BYTES: Final = 256 * 10**6
"""Large enough for a network disk, small enough to copy again."""
_BLOCK = 512  # of a tar file
_READABLE = 0o644
_MENDED = "make it readable, or take it out of the data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """The shards that were written.

    Attributes:
        folder: Their folder.
        shards: Number of tar files.
        files: Number of files in them.
        bytes: Bytes of the tar files together.
    """

    folder: Path
    shards: int
    files: int
    bytes: int


def pack(
    root: Path | str,
    output: Path | str,
    *,
    size: int = SHARD_BYTES,
    overwrite: bool = False,
    on_files: Callable[[int], object] | None = None,
) -> Packing:
    """Pack a data set, or a folder of data sets, into tar files with an index beside them.

    Whatever takes a data set takes the folder of its shards, and reads the same from it. The tar files hold every file
    of the tree under its own path, hidden ones left out: unpacked, they are the tree. All files of a video lie in one
    shard, each mask behind its picture. The same tree gives the same bytes.

    Args:
        root: The tree; links are followed.
        output: Folder to make. It appears when it is whole.
        size: Bytes of a shard. A video that is larger has a shard of its own, which is larger, too.
        overwrite: Replace a folder of shards; other folders that hold something are never replaced.
        on_files: Called with the number of files that were packed since it was called last.

    Raises:
        SourceError: No data set is found, a file cannot be read, or a name cannot be kept.
        UsageError: ``size`` is below 1, a path is empty, or something lies at ``output``.
        EnvironmentProblem: The disk is full or not writable.
    """
    root, output = Path(path_text(root, what="the data set")), Path(path_text(output, what="the output"))
    if size < 1:
        raise UsageError(f"size={size} is no size of a shard", why="it is a number of bytes", fix="256 MB is common")
    collection = open_collection(root)
    if packed := [str(dataset.root) for dataset in collection if isinstance(dataset.root, Packed)]:
        raise UsageError(
            f"{packed[0]} is packed already", why=f"it holds {INDEX}", fix="give a tree; tar xf unpacks shards again"
        )
    videos = [video for dataset in collection for video in dataset]
    _refuse_output(output, root=root, overwrite=overwrite)
    groups = _groups(root, videos)
    output.parent.mkdir(parents=True, exist_ok=True)
    tail = f"{secrets.token_hex(4)}.partial"
    work = hidden_beside(output, f".{tail}")
    work.mkdir()
    try:
        writer = _Writer(work, size=size)
        for group in groups:
            writer.add([(each, root / each) for each in group])
            if on_files:
                on_files(len(group))
        index = writer.finished(name=name_of(root))
        write_record(index, work / INDEX)
        replaced = hidden_beside(output, f".old-{tail}") if output.exists() else None
        if replaced is not None:
            output.replace(replaced)
        try:
            work.replace(output)
        except BaseException:
            if replaced is not None:
                replaced.replace(output)
            raise
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    if replaced is not None:
        shutil.rmtree(replaced)
    return Packing(
        folder=output,
        shards=len(index.shards),
        files=len(index.files),
        bytes=sum(shard.bytes for shard in index.shards),
    )


def _refuse_output(output: Path, *, root: Path, overwrite: bool) -> None:
    if output.resolve().is_relative_to(root.resolve()):
        raise UsageError(
            f"{output} lies in the data set itself", why="it would become a part of it", fix="give another folder"
        )
    if not output.exists() and not output.is_symlink():
        return
    if not output.is_dir() or output.is_symlink():
        raise UsageError(f"{output} is no folder", why="shards lie in a folder of their own", fix="give another one")
    there = {entry.name for entry in os.scandir(output)}
    if not there:
        return
    if not overwrite:
        raise UsageError(
            f"{output} is not empty",
            why="nothing is overwritten unless asked",
            fix=OVERWRITE + " replaces shards; or give another folder",
        )
    others = there - {INDEX} - {shard.file for shard in _packed_before(output)}
    if others or INDEX not in there:
        raise UsageError(
            f"{output} holds something other than shards",
            why=f"such as {min(others or there)}",
            fix="give another folder, or move that away",
        )


def _packed_before(output: Path) -> tuple[Shard, ...]:
    try:
        return Shards(str(output)).shards
    except SourceError:
        return ()


def _groups(root: Path, videos: list[Video]) -> list[list[str]]:
    """Return the files of the tree in the order of packing: lists and notes, then video by video, then what is left."""
    every = dict.fromkeys(_walk(root))
    grouped: list[list[str]] = []
    taken: set[str] = set()
    for video in videos:
        frames = chain.from_iterable((frame.image, frame.annotation) for frame in video.frames)
        files = [inner for each in chain(frames, video.extra) if each and (inner := inside(each, root))]
        grouped.append([each for each in files if each not in taken])
        taken.update(files)
    rest = [each for each in every if each not in taken]
    first = [each for each in rest if Path(each).suffix.lower() not in IMAGE_SUFFIXES]
    last: dict[str, list[str]] = {}
    for each in rest:
        if Path(each).suffix.lower() in IMAGE_SUFFIXES:
            last.setdefault(each.rpartition("/")[0], []).append(each)
    return [group for group in (first, *grouped, *last.values()) if group]


def _walk(root: Path) -> Iterator[str]:
    """Yield every file below a folder, hidden ones left out, in natural order."""

    def below(folder: Path, inner: str, above: frozenset[Path]) -> Iterator[str]:
        real = folder.resolve()
        if real in above:
            raise SourceError(
                f"{folder} leads back to a folder that it lies in",
                why="it is a link, and the tree has no end",
                fix="remove the link",
            )
        try:
            entries = {entry.name: entry for entry in os.scandir(folder) if not entry.name.startswith(".")}
        except OSError as error:
            raise SourceError(
                f"{folder}: the folder cannot be listed", why=str(error.strerror or error), fix="check its permissions"
            ) from error
        for name in natural(entries):
            path = f"{inner}{name}"
            if entries[name].is_dir():
                yield from below(Path(entries[name].path), f"{path}/", above | {real})
                continue
            try:
                path.encode()
            except UnicodeEncodeError as error:
                raise SourceError(
                    f"{root / path!s}".encode(errors="replace").decode(),
                    why="its name is no valid text, and an index has names as text",
                    fix="rename the file",
                ) from error
            yield path

    return below(root, "", frozenset())


class _Writer:
    """Writes shards one after another, each whole or not at all."""

    def __init__(self, folder: Path, *, size: int) -> None:
        self._folder = folder
        self._size = size
        self._shards: list[Shard] = []
        self._files: dict[str, tuple[int, int, int, int]] = {}
        self._pending: list[list[tuple[str, Path]]] = []
        self._held = 0

    def add(self, group: list[tuple[str, Path]]) -> None:
        """Take files that belong together."""
        held = sum(_padded(_size(path)) + _BLOCK for _, path in group)
        if self._pending and self._held + held > self._size:
            self._write()
        self._pending.append(group)
        self._held += held

    def finished(self, *, name: str) -> ShardIndex:
        """Write what is left, and return the index of all."""
        if self._pending:
            self._write()
        return ShardIndex(name=name, shards=tuple(self._shards), files=self._files)

    def _write(self) -> None:
        path = self._folder / f"shard-{len(self._shards):05}.tar"
        with atomic_path(path) as temporary, tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as tar:
            for name, source in chain.from_iterable(self._pending):
                self._files[name] = self._one(tar, name, source)
        self._shards.append(Shard(file=path.name, bytes=path.stat().st_size))
        self._pending, self._held = [], 0

    def _one(self, tar: tarfile.TarFile, name: str, source: Path) -> tuple[int, int, int, int]:
        content = read_guarded(source, what=f"{source} cannot be read", fix=_MENDED, error=SourceError)
        entry = tarfile.TarInfo(name)
        # Neither its time nor its owner: the same tree, the same bytes.
        entry.size, entry.mode = len(content), _READABLE
        tar.addfile(entry, BytesIO(content))
        return len(self._shards), tar.offset - _padded(len(content)), len(content), zlib.crc32(content)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError as error:  # such as a link to a file that is gone
        raise SourceError(f"{file} cannot be read", why=error.strerror or str(error), fix=_MENDED) from error


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK
